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
    from bridge.torch_side.training.finetune import Finetuned

__all__ = ["evaluate", "finetune", "keras2onnx", "keras2torch", "load", "parity", "save", "torch2keras", "torch2onnx"]


def keras2torch(model: str | Path, output: str | Path | None = None, **options: Any) -> nn.Module:
    """A Keras model file as a trainable torch module, in training mode; with `output` also as a bridge folder.

    model: .keras, .h5, .weights.h5, a SavedModel folder or a checkpoint of TensorFlow's (NAME of NAME.index).
    options, by name:
    arch: "FILE.py:function" or "config.json"; mlp: "784-64:relu-64:relu-10:softmax": for files that hold weights alone.
    from_layer: take the part of the model that begins with this layer, or with these. custom: Python files that define
    the classes and functions that the model file names. rules: Python files with rules for layers of your own (see
    bridge.rule). signature: what to call of a SavedModel's program. unsafe: run code that the file carries.
    backend: what wrote a file of Keras 0 or 1, "tensorflow" or "theano".
    into: "FILE.py:Class", a torch module of your own that gets the weights; map_file: JSON that decides which of its
    tensors gets which. force: replace an output that exists.
    TensorFlow runs in a process of its own. Raises BridgeError if the model can't be converted, and CheckFailed if the
    result differs from Keras on random inputs; then nothing is written.
    """
    from bridge.convert import keras2torch

    return keras2torch(model, output, **options).module


def load(folder: str | Path, *, rules: Paths = ()) -> nn.Module:
    """The module of a bridge folder, in evaluation mode. Nothing in the folder is executed.

    rules: the files with your own rules that the conversion was given.
    """
    claim_torch("Loading a torch module")
    from bridge.torch_side.writing.build import load

    return load(folder, rules)


def save(module: nn.Module, folder: str | Path, *, force: bool = False) -> None:
    """Writes a module that bridge made, with the weights it has now, as a bridge folder.

    Raises BridgeError if its tensors are no longer those it was made with (a layer added, half precision), and
    CheckFailed if a weight holds NaN or infinity.
    """
    claim_torch("Writing a torch module")
    from bridge.torch_side.folder import write_folder

    write_folder(module, folder, force=force)


def finetune(
    model: str | Path | nn.Module, data: str | Path | Data, output: str | Path | None = None, **options: Any
) -> Finetuned:
    """Trains a converted network on data as Keras would; with `output` it writes a bridge folder.

    Without `output` the best epoch's weights are kept in memory, as many as are trained; with it, large ones on the
    disk alone.
    model: a bridge folder, a layered .onnx file, or a module of keras2torch or load, which is left as it is.
    data: .npz, .csv, "x.npy,y.npy", IDX files, a name such as "digits", or bridge.data.Data: inputs (rows, ...),
    targets (rows,) class numbers, or (rows, ...) in the shape of the output. options, by name, with their defaults:
    transfer ("parameters"): begin with all weights; "features": these, and only the head is trained; "structure": the
    architecture with fresh weights. freeze (): patterns of layers that stay as they are ("dense*"). classes (None): put
    a new head with so many outputs in the old one's place. scale (None): divide the inputs by it, 255 say.
    label ("label"): the column of a .csv with the targets. part ("train"): of data that is stored in parts.
    validation (0.1): the fraction of the rows to hold out, other data, or None.
    optimizer ("adam"): sgd, adam, adamw, rmsprop, or {"name": "sgd", "momentum": 0.9}, with Keras's defaults;
    learning_rate (None): Keras's. loss (None): a Keras name, or one for each output; None chooses by the final
    activation and the targets. epochs (10), batch (32) rows, seed (0). device ("auto"): or cuda, mps, cpu.
    rules (): the files with your own rules that the conversion was given. resume (False): go on with an interrupted
    run to the same output. force (False): replace an output that exists. on_epoch: called with each epoch's row of the
    history, {"epoch": 1, "loss": ..., ...}; on_step: with (steps done, steps of an epoch).
    Returns .module (the best epoch's weights, in evaluation mode), .history (.rows, .best), .frozen, .rows.
    Raises BridgeError for whatever does not fit.
    """
    claim_torch("Fine-tuning")
    from bridge.torch_side.training.finetune import finetune

    return finetune(model, data, output, **options)


def evaluate(model: str | Path, data: str | Path | Data, *, part: str = "test", **options: Any) -> Evaluation:
    """Loss, metrics and rows per second of a model on data, with ONNX Runtime.

    model: a bridge folder or an .onnx file. data: as for finetune; part: of data that is stored in parts.
    options, by name, with their defaults: provider ("cpu"): or cuda, tensorrt, directml, coreml ...; one that no
    session can use is an error, unless fallback (None) names another, such as "cpu". batch (None): rows in a call.
    threads (None): of the CPU. loss (None): chosen by the targets and the final activation. scale (None): divide the
    inputs by it. label ("label"): the column of a .csv with the targets. tf32 (False): lets CUDA round.
    progress: called with (rows done, rows).
    Returns .loss, .accuracy, .top5, .scores by output, .rows_per_second, .seconds and more.
    Raises BridgeError if model, data or provider can't be used.
    """
    from bridge.data import Data, read
    from bridge.runtime import evaluate

    label = options.pop("label", "label")
    return evaluate(model, data if isinstance(data, Data) else read(data, label=label, part=part), **options)


def parity(*models: str | Path, **options: Any) -> Report:
    """Whether files compute the same, each framework in a process of its own.

    models: Keras files, .onnx files and bridge folders, each compared with the first; a folder counts twice, as its
    torch module and its model.onnx. options, by name, with their defaults:
    arch, mlp, unsafe, from_layer, custom, signature, backend: for the Keras files, as for keras2torch; rules: your own.
    data (None): run on this, as for finetune, not on random rows; part ("test"), label ("label"), scale (None) of it.
    rows (None): how many, by default 64 random ones or the first 256 of the data. seed (0): of random ones.
    rtol (1e-5): the largest error that passes, relative to the largest value of the first file's output. layers (True):
    compare these too. progress: called with what runs now.
    Returns .ok, .rows (of each file and output), .layers, .first_difference, .notes.
    Raises BridgeError for a file that is no model, and for data that doesn't fit.
    """
    from bridge.parity import compare

    return compare(models, **options)
