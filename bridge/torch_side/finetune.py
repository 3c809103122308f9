"""Fine-tuning a converted network: which weights it begins with, which are trained, and the folder it ends in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from bridge.data import Data, fit_to, read, split
from bridge.errors import BridgeError
from bridge.files import refuse_existing, refuse_input_as_output
from bridge.graph import Graph
from bridge.graph.fresh import fresh
from bridge.graph.head import head_layer, replace_head
from bridge.torch_side.build import build, graph_of, load, plan_of, read_graph
from bridge.torch_side.checkpoint import NAME as CHECKPOINT
from bridge.torch_side.folder import write_folder
from bridge.torch_side.freeze import freeze as freeze_parts
from bridge.torch_side.history import History
from bridge.torch_side.train import fit

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
    resume: bool = False,
    force: bool = False,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Finetuned:
    """Trains a converted network on data as Keras would, and writes a bridge folder.

    model: a bridge folder, a layered .onnx file, or a module that bridge built (which is left as it is).
    data: as bridge.data.read takes it. validation: a fraction to hold out, other data, or None.
    transfer: "parameters": all weights begin at the source's; "features": these too, and all but the head stay frozen;
    "structure": the architecture alone, fresh weights by the Keras initializers in its config.
    freeze: patterns over layers and parameters ("dense*"). classes: give it a new head with so many units.
    scale: the inputs are divided by it. optimizer: sgd, adam, adamw, rmsprop, with Keras's defaults and formulas.
    resume: go on with an interrupted run to the same output. Raises BridgeError for whatever does not fit.
    """
    if transfer not in TRANSFERS:
        raise BridgeError(f"--transfer {transfer}: there is no such transfer. Known are: {', '.join(TRANSFERS)}.")
    checkpoint = _checkpoint_folder(output, model, resume, force)
    graph = _graph(model)
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
    frozen = _frozen(module, graph, transfer, freeze)
    train, held_out = _data(data, validation, label, part, seed)
    shapes = {value.name: (value.shape or ())[1:] for value in graph.inputs}
    types = {value.name: value.dtype for value in graph.inputs}
    history = fit(
        module,
        fit_to(train, shapes, scale, types),
        _targets(train),
        validation=held_out and (fit_to(held_out, shapes, scale, types), _targets(held_out)),
        optimizer=optimizer,
        learning_rate=learning_rate,
        loss=loss,
        epochs=epochs,
        batch=batch,
        seed=seed,
        device=device,
        on_epoch=on_epoch,
        on_step=on_step,
        checkpoint=checkpoint,
        resume=resume,
    )
    if output is not None and checkpoint is not None:
        extra = {"history.csv": history.as_csv().encode(), CHECKPOINT: (checkpoint / CHECKPOINT).read_bytes()}
        write_folder(module, output, force=force or resume, extra=extra)
        shutil.rmtree(checkpoint)
    return Finetuned(module, history, frozen, len(train), len(held_out) if held_out else 0)


def _checkpoint_folder(output: str | Path | None, model: object, resume: bool, force: bool) -> Path | None:
    """Where the run's state is kept until its output appears: beside the output."""
    if output is None:
        if resume:
            raise BridgeError("--resume goes on with the run that was writing to the output: name that output.")
        return None
    output = Path(output)
    refuse_existing(output, force or resume)
    if isinstance(model, str | Path):
        refuse_input_as_output(output, model)
    folder = output.with_name(f"{output.name}.unfinished")
    if resume:
        if not (folder / CHECKPOINT).exists():
            if not (output / CHECKPOINT).exists():
                raise BridgeError(f"{output}: there is no run to resume, neither here nor in {folder.name}.")
            folder.mkdir(exist_ok=True)
            shutil.copyfile(output / CHECKPOINT, folder / CHECKPOINT)
    elif folder.exists():
        if not force:
            raise BridgeError(
                f"{folder}: an interrupted run to {output} left its state here.\n"
                "Pass --resume to go on with it, or --force to begin anew."
            )
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return folder


def _graph(model: str | Path | nn.Module) -> Graph:
    if isinstance(model, nn.Module):
        return graph_of(model)
    path = Path(model)
    if path.is_dir():
        return graph_of(load(path))
    if path.suffix.lower() != ".onnx":
        raise BridgeError(
            f"{path}: is neither a bridge folder nor a layered .onnx file.\n"
            f"Convert it first: bridge convert keras2torch {path} -o DIR"
        )
    return read_graph(path)


def _frozen(module: nn.Module, graph: Graph, transfer: str, patterns: Sequence[str]) -> tuple[str, ...]:
    if transfer == "features":
        moves = plan_of(module).moves
        head = {moves[weight.path].key for weight in head_layer(graph).weights.values()}
        own = {".".join(name) for name in plan_of(module).modules}
        keep = {key.rpartition(".")[0] for key in head}
        freeze_parts(module, sorted(own - keep))
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name in head)
    if patterns:
        freeze_parts(module, patterns)
    return tuple(name for name, parameter in module.named_parameters() if not parameter.requires_grad)


def _data(
    data: str | Path | Data, validation: float | str | Path | Data | None, label: str, part: str, seed: int
) -> tuple[Data, Data | None]:
    train = data if isinstance(data, Data) else read(data, label=label, part=part)
    if validation is None or isinstance(validation, Data):
        return train, validation
    if isinstance(validation, int | float):
        return split(train, float(validation), seed)
    return train, read(validation, label=label, part="test")


def _targets(data: Data) -> Any:
    if data.targets is None:
        raise BridgeError(f"{data.origin}: has no targets (y) to train on.")
    return data.targets
