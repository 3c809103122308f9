"""The Python interface: what the commands do, as functions. Frameworks are imported when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.convert import claim_torch, keras2onnx, torch2keras, torch2onnx
from bridge.keras_side.source import Paths

if TYPE_CHECKING:
    from torch import nn

    from bridge.data import Data
    from bridge.parity import Report
    from bridge.runtime import Evaluation
    from bridge.torch_side.finetune import Finetuned

__all__ = ["evaluate", "finetune", "keras2onnx", "keras2torch", "load", "parity", "save", "torch2keras", "torch2onnx"]


def keras2torch(model: str | Path, output: str | Path | None = None, **options: Any) -> nn.Module:
    """A Keras model file as a trainable torch module, in training mode; with `output` also as a bridge folder.

    options: as for bridge.convert.keras2torch (arch, mlp, custom, rules, unsafe, into, map_file, force). TensorFlow
    runs in a process of its own. Raises BridgeError if the model can't be converted.
    """
    from bridge.convert import keras2torch

    return keras2torch(model, output, **options).module


def load(folder: str | Path, *, rules: Paths = ()) -> nn.Module:
    """The module of a bridge folder, in evaluation mode. Nothing in the folder is executed.

    rules: the files with your own rules that the conversion was given.
    """
    claim_torch("Loading a torch module")
    from bridge.torch_side.build import load

    return load(folder, rules)


def save(module: nn.Module, folder: str | Path, *, force: bool = False) -> None:
    """Writes a module that bridge made, with the weights it has now, as a bridge folder.

    Raises BridgeError if its tensors are no longer those it was made with (a layer added, half precision), and
    CheckFailed if a weight holds NaN or infinity.
    """
    claim_torch("Writing a torch module")
    from bridge.torch_side.folder import write_folder

    write_folder(module, folder, force=force)


def finetune(model: str | Path | nn.Module, data: str | Path | Data, *args: Any, **options: Any) -> Finetuned:
    """Trains a converted network on data; see bridge.torch_side.finetune.finetune for the options."""
    claim_torch("Fine-tuning")
    from bridge.torch_side.finetune import finetune

    return finetune(model, data, *args, **options)


def evaluate(model: str | Path, data: str | Path | Data, *, part: str = "test", **options: Any) -> Evaluation:
    """Loss, metrics and rows per second with ONNX Runtime; see bridge.runtime.evaluate for the options.

    part: of named data sets. A missing CUDA provider is an error unless fallback="cpu".
    """
    from bridge.data import Data, read
    from bridge.runtime import evaluate

    label = options.pop("label", "label")
    return evaluate(model, data if isinstance(data, Data) else read(data, label=label, part=part), **options)


def parity(*models: str | Path, **options: Any) -> Report:
    """Whether files compute the same, each in its own process; see bridge.parity.compare for the options."""
    from bridge.parity import compare

    return compare(models, **options)
