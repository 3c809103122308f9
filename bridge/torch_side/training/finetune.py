"""Fine-tuning a converted network: which weights it begins with, which are trained, and the folder it ends in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from bridge.data import Data, fit_to, read, split
from bridge.errors import BridgeError
from bridge.files import inside, refuse_existing, refuse_input_as_output, scratch
from bridge.folder import read_graph
from bridge.graph import Graph
from bridge.graph.changes.fresh import fresh
from bridge.graph.changes.head import head_layer, replace_head
from bridge.graph.looked_up import looked_up
from bridge.graph.own_layers import with_rules
from bridge.keras_side.source import Paths
from bridge.torch_side.folder import refuse_changed, write_folder
from bridge.torch_side.training import checkpoint as checkpoints
from bridge.torch_side.training.feed import columns
from bridge.torch_side.training.freeze import freeze as freeze_parts
from bridge.torch_side.training.history import History
from bridge.torch_side.training.objective import SHOWN, Objective
from bridge.torch_side.training.train import fit
from bridge.torch_side.writing.build import build, folder_graph, graph_of, plan_of

TRANSFERS = ("parameters", "features", "structure")


@dataclass(frozen=True)
class Finetuned:
    """module: with the best epoch's weights, in evaluation mode. frozen: names of the parameters that stayed."""

    module: nn.Module
    history: History
    frozen: tuple[str, ...]
    rows: int
    validation_rows: int


def finetune(
    model: str | Path | nn.Module,
    data: str | Path | Data,
    output: str | Path | None = None,
    *,
    transfer: str = "parameters",
    freeze: Sequence[str] = (),
    classes: int | None = None,
    scale: float | None = None,
    label: str = "label",
    part: str = "train",
    validation: float | str | Path | Data | None = 0.1,
    optimizer: str | dict[str, Any] = "adam",
    learning_rate: float | None = None,
    loss: str | dict[str, str] | None = None,
    epochs: int = 10,
    batch: int = 32,
    seed: int = 0,
    device: str = "auto",
    rules: Paths = (),
    resume: bool = False,
    force: bool = False,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Finetuned:
    """Trains a converted network on data as Keras would, and writes a bridge folder.

    output: without it, the best epoch's weights are in memory, once more as many as are trained; with it, those of a
    large model are in the checkpoint alone.
    model: a bridge folder, a layered .onnx file, or a module that bridge built: it is left as it is, and what is frozen
    in it (requires_grad) stays frozen.
    data: as bridge.data.read takes it. validation: a fraction to hold out, other data, or None.
    transfer: "parameters": all weights begin at the source's; "features": these too, and all but the head stay frozen;
    "structure": the architecture alone, fresh weights by the Keras initializers in its config.
    freeze: patterns over layers and parameters ("dense*"). classes: give it a new head with so many units.
    scale: the inputs are divided by it. optimizer: sgd, adam, adamw, rmsprop, with Keras's defaults and formulas.
    rules: the files with your own rules that the conversion was given.
    resume: go on with an interrupted run to the same output. Raises BridgeError for whatever does not fit.
    """
    if transfer not in TRANSFERS:
        raise BridgeError(f"--transfer {transfer}: there is no such transfer. Known are: {', '.join(TRANSFERS)}.")
    if seed < 0:
        raise BridgeError(f"--seed {seed}: must be a whole number, 0 or more.")
    run = _run_of(output, model, resume, force)
    with scratch(run and run.output):  # where nothing can be written, nothing is trained for hours before
        pass
    graph = _graph(model, rules)
    if masked := graph.source.get("masked"):
        raise BridgeError(
            f"{graph.name}: a mask reaches the output {masked[0]!r}; Keras leaves masked steps out of the loss.\n"
            "That is not possible yet: fine-tune a model without Masking."
        )
    if transfer == "structure":
        graph = fresh(graph, seed)
    if classes is not None:
        graph = replace_head(graph, classes, seed)
    module = build(graph)
    if isinstance(model, nn.Module):
        _freeze_as(model, module, but=_head(module, graph) if classes is not None else set())
    frozen = _frozen(module, graph, transfer, freeze)
    given = data if isinstance(data, Data) else read(data, label=label, part=part)
    given = _fitted(given, graph, scale)
    _check_targets(module, given, loss)  # before a split, in which the rows get other numbers
    train, held_out = _divided(given, validation, graph, scale, label, seed)
    del given
    history = fit(
        module,
        train.inputs,
        _targets(train),
        validation=held_out and (held_out.inputs, _targets(held_out)),
        optimizer=optimizer,
        learning_rate=learning_rate,
        loss=loss,
        epochs=epochs,
        batch=batch,
        seed=seed,
        device=device,
        on_epoch=on_epoch,
        on_step=on_step,
        checkpoint=run and run.folder,
        resume=(run and run.begun) or False,
        asked={"transfer": transfer},
    )
    if run is not None:
        extra = {"history.csv": history.as_csv().encode(), checkpoints.NAME: run.state()}
        write_folder(module, run.output, force=force or resume, extra=extra)
        checkpoints.remove(run.folder)
    return Finetuned(module, history, frozen, len(train), len(held_out) if held_out else 0)


@dataclass(frozen=True)
class _Run:
    """output: where the result goes. folder: beside it, where the run's state is kept until the result appears.

    begun: the folder with the state of the run to go on with, or None.
    """

    output: Path
    folder: Path
    begun: Path | None

    def state(self) -> Path:
        """The checkpoint's file; that of the finished run where nothing was left to train."""
        file = self.folder / checkpoints.NAME
        if self.begun and not file.exists():
            file = self.begun / checkpoints.NAME
        return file


def _run_of(output: str | Path | None, model: object, resume: bool, force: bool) -> _Run | None:
    """Where the run writes; only looks, and changes nothing: the training may yet be refused."""
    if output is None:
        if resume:
            raise BridgeError("--resume goes on with the run that was writing to the output: name that output.")
        return None
    output = Path(output)
    refuse_existing(output, force or resume)
    if isinstance(model, str | Path):
        refuse_input_as_output(output, model)
    folder = output.with_name(f"{output.name}.unfinished")
    if os.path.lexists(folder) and not folder.is_dir():
        raise BridgeError(f"{folder}: is in the way: the state of an unfinished run is kept in a folder of this name.")
    unfinished = inside(folder, checkpoints.NAME, folder).exists()
    if resume:
        begun = next((place for place in (folder, output) if (place / checkpoints.NAME).exists()), None)
        if begun is None:
            raise BridgeError(f"{output}: there is no run to resume, neither here nor in {folder.name}.")
        return _Run(output, folder, begun)
    if unfinished and not force:
        raise BridgeError(
            f"{folder}: an interrupted run to {output} left its state here.\n"
            "Pass --resume to go on with it, or --force to begin anew."
        )
    return _Run(output, folder, None)


def _graph(model: str | Path | nn.Module, rules: Paths) -> Graph:
    if isinstance(model, nn.Module):
        refuse_changed(model)
        return graph_of(model)
    path = Path(model)
    if path.is_dir():
        return folder_graph(path, rules)
    if not path.exists():
        raise BridgeError(f"{path}: no such folder or file (the model).")
    if path.suffix.lower() != ".onnx":
        raise BridgeError(
            f"{path}: is neither a bridge folder nor a layered .onnx file.\n"
            f"Convert it first: bridge convert keras2torch {path} -o DIR"
        )
    return with_rules(read_graph(path), rules)


def _head(module: nn.Module, graph: Graph) -> set[str]:
    """The names of the head's parameters."""
    moves = plan_of(module).moves
    return {moves[weight.path].key for weight in head_layer(graph).weights.values()}


def _freeze_as(given: nn.Module, module: nn.Module, but: set[str]) -> None:
    """Freezes what is frozen in the user's module. but: parameters of a new head."""
    wanted = dict(given.named_parameters())
    for name, parameter in module.named_parameters():
        if name not in but:
            parameter.requires_grad_(wanted[name].requires_grad)
    marked = {name for name, part in given.named_modules() if getattr(part, "frozen", False) is True}
    for name, part in module.named_modules():
        if name in marked:
            part.frozen = True  # type: ignore[assignment]


def _frozen(module: nn.Module, graph: Graph, transfer: str, patterns: Sequence[str]) -> tuple[str, ...]:
    if transfer == "features":
        try:
            head = _head(module, graph)
        except BridgeError as error:
            first = str(error).splitlines()[0]
            raise BridgeError(f"{first}\nSay yourself what is to stay as it is: --freeze PATTERN.") from None
        own = {".".join(name) for name in plan_of(module).modules}
        keep = {key.rpartition(".")[0] for key in head}
        freeze_parts(module, sorted(own - keep))
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name in head)
    if patterns:
        freeze_parts(module, patterns)
    return tuple(name for name, parameter in module.named_parameters() if not parameter.requires_grad)


def _fitted(data: Data, graph: Graph, scale: float | None) -> Data:
    """The data with its inputs as the network takes them."""
    shapes = {value.name: (value.shape or ())[1:] for value in graph.inputs}
    types = {value.name: value.dtype for value in graph.inputs}
    return replace(data, inputs=fit_to(data, shapes, scale, types, looked_up(graph)))


def _check_targets(module: nn.Module, data: Data, loss: str | dict[str, str] | None) -> None:
    """Raises BridgeError for targets that don't fit, by the data's name and its own numbers of rows."""
    y = _targets(data)
    objective = Objective(module, columns(module, data.head(SHOWN).inputs), y, loss, data.origin)
    objective.targets(y, f"{data.origin}: y")


def _divided(
    data: Data,
    validation: float | str | Path | Data | None,
    graph: Graph,
    scale: float | None,
    label: str,
    seed: int,
) -> tuple[Data, Data | None]:
    """The rows to train on and those that are held out."""
    if isinstance(validation, int | float):
        return split(data, float(validation), seed)
    if validation is None:
        return data, None
    other = validation if isinstance(validation, Data) else read(validation, label=label, part="test")
    return data, _fitted(other, graph, scale)


def _targets(data: Data) -> Any:
    if data.targets is None:
        raise BridgeError(f"{data.origin}: has no targets to train on.\nAdd them as y, say, or name --label.")
    return data.targets
