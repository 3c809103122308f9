"""Do Keras and torch train alike? The same batches, optimizer and loss on both sides, from one file each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.folder import read_graph
from bridge.graph import Graph, Weight
from bridge.graph.changes.inner_layers import layer_nodes
from bridge.graph.layer import dropout_of
from bridge.keras_side.client import ask
from bridge.keras_side.source import Paths, Source, listed
from bridge.parity.arrays import RTOL, difference, relative_l2
from bridge.parity.batches import batches
from bridge.parity.inputs import check_rtol, check_seed, given
from bridge.parity.pair import keras_and_torch
from bridge.process import worker
from bridge.strict_json import finite_or_null

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
_RANDOM = ("rate", "stddev", "dropout", "recurrent_dropout")  # options of layers that draw random numbers in training


@dataclass(frozen=True)
class WeightRow:
    """One weight after training. error: relative L2 distance from Keras's. state: kept by the layer, not trained."""

    weight: str
    error: float
    state: bool


@dataclass(frozen=True)
class TrainingReport:
    """What `compare_training` found.

    trained, state: relative L2 distance of all trained weights together, and of all others (moving statistics).
    loss: the largest difference between the losses of a step, relative to Keras's. moved: how far Keras's trained
    weights went, relative L2: a check that moves nothing proves nothing. parted: the first step (from 1) whose loss
    differs by more than `rtol`; None if none does.
    """

    keras: str
    torch: str
    steps: int
    batch: int
    optimizer: dict[str, Any]
    loss_name: str | dict[str, str]
    inputs: str
    rtol: float
    rows: list[WeightRow]
    trained: float
    state: float
    loss: float
    moved: float
    parted: int | None = None
    fault: str = ""

    @property
    def ok(self) -> bool:
        """Whether both distances are within `rtol`, and the training went anywhere; NaN never is."""
        return not self.fault and self.trained <= self.rtol and self.state <= self.rtol and self.moved > 0

    @property
    def worst(self) -> WeightRow | None:
        """The weight that is farthest off; NaN is farther than any number."""
        return max(self.rows, key=lambda row: math.inf if math.isnan(row.error) else row.error, default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; a number that is not finite is null."""
        return dict(finite_or_null({"ok": self.ok} | asdict(self)))


def compare_training(
    files: Sequence[str | Path],
    *,
    steps: int,
    optimizer: str | dict[str, Any] = "adam",
    learning_rate: float | None = None,
    loss: str | None = None,
    batch: int = 32,
    arch: str | None = None,
    mlp: str | None = None,
    unsafe: bool = False,
    from_layer: str | Iterable[str] = (),
    custom: Paths = (),
    rules: Paths = (),
    signature: str | None = None,
    backend: str | None = None,
    data: str | Path | Data | None = None,
    part: str = "test",
    label: str | None = "label",
    scale: float | None = None,
    seed: int = 0,
    rtol: float = RTOL,
    progress: Callable[[str], None] | None = None,
) -> TrainingReport:
    """Trains a Keras file by Keras and a bridge folder by torch for `steps` batches, and compares the weights.

    files: one Keras file and one bridge folder or layered .onnx file, in any order. optimizer: a name, or
    {"name": "sgd", "momentum": 0.9}; what is absent has Keras's default. loss: by default by the final activation.
    data: as bridge.data.read takes it, with `part` and `label`; its rows in their order, again from the first when they
    are used up; without it random rows and targets.
    Raises BridgeError if the training can't be the same in both: dropout, which draws its own random masks, say.
    """
    keras, folder = keras_and_torch(files)
    graph = read_graph(folder)
    _refuse_random_layers(graph, folder)
    chosen = _optimizer(optimizer, learning_rate)
    if steps < 1 or batch < 1:
        raise BridgeError(f"--train-steps and --batch must be at least 1, found {steps} and {batch}.")
    check_rtol(rtol)
    check_seed(seed)
    x, y, losses, described = batches(graph, given(data, label, part), scale, loss, steps, batch, seed)
    options: dict[str, Any] = {"optimizer": chosen, "loss": losses, "x": x, "y": y, "batch": batch, "steps": steps}
    if len(y) == 1:
        options |= {"loss": next(iter(losses.values())), "y": next(iter(y.values()))}
    tell = progress or (lambda text: None)
    tell(f"{steps:,} steps in PyTorch: {folder}")
    mine = worker("torch_side").call(
        "train", model=folder, rules=listed(rules), **options
    )  # first: it checks the optimizer's options
    tell(f"{steps:,} steps in Keras: {keras}")
    source = Source(keras, arch, mlp, unsafe, listed(from_layer), listed(custom), (), signature, backend)
    theirs = ask("train", source=asdict(source), logits=mine["logits"], **options)
    return _report(keras, folder, graph, theirs, mine, options, described, rtol)


def _refuse_random_layers(graph: Graph, name: str) -> None:
    """Raises BridgeError if a layer draws random numbers in training: each framework draws others."""
    found: dict[str, None] = {}
    for node in layer_nodes(graph):
        config = node.layer.config if node.layer and node.training is not False else {}
        rate = next((k for k in _RANDOM if isinstance(config.get(k), int | float) and config[k] > 0), None)
        if rate is not None:
            found[f"{node.layer} has {rate} {config[rate]:g}"] = None
        elif within := dropout_of(config):
            found[f"{node.layer} has dropout {within:g} within"] = None
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise BridgeError(
            f"{name}: {', '.join(list(found)[:3])}{more}: random in training, and Keras and torch draw other numbers.\n"
            "--train-steps needs a model in which these are 0. Without it, parity compares the outputs."
        )


def _optimizer(optimizer: str | dict[str, Any], learning_rate: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"name": optimizer} if isinstance(optimizer, str) else dict(optimizer)
    if "name" not in options:
        raise BridgeError(f'optimizer {optimizer!r}: says no name, as in {{"name": "sgd", "momentum": 0.9}}.')
    if options["name"] not in OPTIMIZERS:
        raise BridgeError(f"optimizer {options['name']!r} is not known.\nChoose one of {', '.join(OPTIMIZERS)}.")
    if learning_rate is not None:
        if not (math.isfinite(learning_rate) and learning_rate > 0):
            raise BridgeError(f"--learning-rate {learning_rate}: must be a positive number.")
        options["learning_rate"] = learning_rate
    return options


def _report(
    keras: str,
    folder: str,
    graph: Graph,
    theirs: dict[str, Any],
    mine: dict[str, Any],
    options: dict[str, Any],
    described: str,
    rtol: float,
) -> TrainingReport:
    wanted, found = theirs["weights"], mine["weights"]
    shared = [path for path in wanted if path in found and found[path].shape == wanted[path].shape]
    fault = ""
    if lost := sorted((set(wanted) | set(found)) - set(shared)):
        fault = f"not the same weights on both sides: {', '.join(lost[:5])}"
    trains = {path: _is_trained(graph.weights.get(path)) for path in shared}
    rows = [WeightRow(path, relative_l2({"": found[path]}, {"": wanted[path]}), not trains[path]) for path in shared]

    def together(trained: bool) -> float:
        paths = [path for path in shared if trains[path] is trained]
        return relative_l2({p: found[p] for p in paths}, {p: wanted[p] for p in paths})

    trained = [path for path in shared if trains[path] and path in graph.arrays]
    moved = relative_l2({p: wanted[p] for p in trained}, {p: graph.arrays[p] for p in trained})
    return TrainingReport(
        keras=keras,
        torch=folder,
        steps=options["steps"],
        batch=options["batch"],
        optimizer=options["optimizer"],
        loss_name=options["loss"],
        inputs=described,
        rtol=rtol,
        rows=rows,
        trained=together(True),
        state=together(False),
        loss=_loss_difference(mine["losses"], theirs["losses"]),
        parted=_parted(mine["losses"], theirs["losses"], rtol),
        moved=moved,
        fault=fault,
    )


def _loss_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference of a step's losses, relative to the largest of Keras's."""
    return difference(np.asarray(found, np.float64), np.asarray(wanted, np.float64)).error


def _parted(found: np.ndarray, wanted: np.ndarray, rtol: float) -> int | None:
    """The first step whose losses differ by more than `rtol` of the largest of Keras's."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if found.shape != wanted.shape:
        return 1
    apart = ~(np.abs(found - wanted) <= rtol * np.abs(wanted).max())  # NaN is apart from everything
    return int(apart.argmax()) + 1 if apart.any() else None


def _is_trained(weight: Weight | None) -> bool:
    return weight is not None and weight.trainable and not weight.state
