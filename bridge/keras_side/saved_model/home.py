"""The way home into a SavedModel: the same program and the same keys, with the layered model's weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

from bridge.errors import BridgeError, CheckFailed
from bridge.graph import Graph
from bridge.graph.stored import CHUNK, Arrays, same_bits
from bridge.keras_side.saved_model import folder as folders
from bridge.keras_side.saved_model import pack
from bridge.keras_side.saved_model.checkpoint import Checkpoint, Stored
from bridge.keras_side.saved_model.pack import Laid, Pack
from bridge.keras_side.weights import put

MOST_TOGETHER = 1 << 28  # bytes
_MISFIT = "so its SavedModel's program, which stays as it is, does not fit it"


def write(graph: Graph, output: Path, origin: str | None) -> dict[str, Any]:
    """Writes the SavedModel that the graph came from to the folder `output`, with the graph's weights.

    origin: the folder that it was converted from, where the graph does not keep all of it. Returns what go_home does.
    Raises BridgeError if the graph is of no SavedModel, or no longer of the same weights.
    """
    if graph.saved_model is None:
        raise BridgeError(
            f"{graph.name}: a SavedModel is written only of what came from one, whole, its weights as they were.\n"
            "Write a Keras file: a name that ends in .keras, .h5 or .weights.h5."
        )
    kept = pack.unpacked(graph.saved_model, graph.name)
    if origin is not None:
        kept = pack.of_folder(folders.look(origin), kept, graph.name)
    if kept.rest is None:
        raise BridgeError(
            f"{graph.name}: its SavedModel was too large to be kept in the converted model.\n"
            "Pass the folder that it was converted from: --arch SAVEDMODEL"
        )
    values = Arrays(weights_of(graph, kept, _MISFIT, _check_fits)) | kept.rest
    if lacks := sorted(set(kept.stored) - set(values)):
        raise BridgeError(f"{graph.name}: what it keeps of its SavedModel is damaged: it has nothing for {lacks[0]}.")
    for name, content in kept.files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
    (output / "variables").mkdir()
    if values:
        save(str(output / folders.PREFIX), kept, values)
        check(folders.look(output), values)
    if folders.FINGERPRINT in kept.files:  # it tells of the checkpoint too
        (output / folders.FINGERPRINT).write_bytes(fingerprinting.CreateFingerprintDef(str(output)))
    numbers = sum(math.prod(weight.shape) for weight in graph.weights.values())
    return {"weights": len(graph.weights), "parameters": numbers, "kept": 0}


def weights_of(
    graph: Graph, kept: Pack, misfit: str, check: Callable[[str, np.ndarray, Stored], None]
) -> dict[str, Callable[[], np.ndarray]]:
    """What gives the value of each key that a weight has.

    misfit: what it means that the graph has other weights, for the message. check: raises BridgeError for a weight that
    does not fit its place.
    """
    lacks, extra = sorted(set(kept.places) - set(graph.weights)), sorted(set(graph.weights) - set(kept.places))
    if lacks or extra:
        what = f"no longer has {lacks[0]}" if lacks else f"has {extra[0]} besides"
        raise BridgeError(
            f"{graph.name}: {what}, {misfit}.\nWrite a Keras file: a name that ends in .keras, .h5 or .weights.h5."
        )
    values = {}
    for path, keys in kept.places.items():
        for key in keys:
            laid = kept.laid.get(path)
            check(path, as_stored(graph, path, laid), kept.stored[key])
            values[key] = partial(typed, graph, path, laid, kept.stored[key].numpy)
    return values


def typed(graph: Graph, path: str, laid: Laid | None, dtype: np.dtype) -> np.ndarray:
    return as_stored(graph, path, laid).astype(dtype, copy=False)


def as_stored(graph: Graph, path: str, laid: Laid | None) -> np.ndarray:
    """A weight's numbers as they lie in the checkpoint."""
    array = graph.arrays[path]
    if laid is None:
        return array
    try:
        return laid.to_file(array)
    except ValueError:
        raise BridgeError(
            f"{path}: is {array.shape} in the converted model, which is no {laid.layout} of its original.\n"
            "Write a Keras file: a name that ends in .keras, .h5 or .weights.h5."
        ) from None


def _check_fits(path: str, array: np.ndarray, stored: Stored) -> None:
    if array.shape != stored.shape:
        raise BridgeError(
            f"{path}: is {array.shape} in the converted model, its SavedModel's program wants {stored.shape}.\n"
            "Write a Keras file: a name that ends in .keras, .h5 or .weights.h5."
        )
    check_exact(path, array, stored)


def check_exact(path: str, array: np.ndarray, stored: Stored) -> None:
    """Raises BridgeError if the numbers of a weight would be others in the type of the checkpoint."""
    if array.dtype == stored.numpy:
        return
    back = array.astype(stored.numpy).astype(array.dtype)
    if not np.array_equal(back, array, equal_nan=array.dtype.kind == "f"):
        raise BridgeError(
            f"{path}: its numbers are not exact in {stored.dtype}, which the original keeps it in.\n"
            "Write a Keras file: a name that ends in .keras, .h5 or .weights.h5."
        )


def save(whole: str, kept: Pack, values: Mapping[str, Any]) -> None:
    """Writes a checkpoint by its prefix, a large one in several data files: those of each are in memory together."""
    groups, held = [list[str]()], 0
    for key in sorted(values):
        held += kept.stored[key].nbytes
        if groups[-1] and held > MOST_TOGETHER:
            groups.append([])
            held = kept.stored[key].nbytes
        groups[-1].append(key)
    parts = [f"{whole}-{number}" for number in range(len(groups))] if len(groups) > 1 else [whole]
    for part, names in zip(parts, groups, strict=True):
        _save_part(part, names, values)
    if len(parts) > 1:
        tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=whole, delete_old_dirs=False)


def _save_part(prefix: str, names: list[str], values: Mapping[str, Any]) -> None:
    tensors = [_tensor(values[name]) for name in names]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)


def _tensor(value: np.ndarray) -> tf.Tensor:
    if value.dtype == object:
        return tf.constant(value.tolist())
    if value.nbytes <= CHUNK:
        return tf.constant(value)
    begun = keras.Variable(keras.initializers.Zeros(), value.shape, value.dtype.name)
    put(begun, value)
    return tf.convert_to_tensor(begun.value)


def check(folder: folders.Folder, values: Mapping[str, Any]) -> None:
    """Reads back what was written. Raises CheckFailed if a bit differs."""
    checkpoint = Checkpoint(folder)
    for key, value in values.items():
        found = checkpoint.read(key)
        same = found.tolist() == value.tolist() if value.dtype == object else same_bits(found, value)
        if not same:
            raise CheckFailed(f"{key}: TensorFlow gives other numbers back than were written. Nothing was kept.")
