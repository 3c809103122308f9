"""Running a Keras model on given arrays: its outputs, and every layer's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.utils.backend_utils import TFGraphScope

from bridge.errors import OTHER_SIZE, BridgeError
from bridge.keras_side.building.architecture import REFUSALS, said
from bridge.keras_side.names import names
from bridge.keras_side.precision import in_float32
from bridge.keras_side.running.double import as_double, in_double, unrounded
from bridge.keras_side.running.lent import by_parts
from bridge.keras_side.saved_model.model import Operators
from bridge.keras_side.signature import named_outputs, signature
from bridge.keras_side.tracing import ctc

BATCH = 1024


def run(model: keras.Model, inputs: dict[str, np.ndarray], *, double: bool = False) -> dict[str, np.ndarray]:
    """The model's outputs by name, as `predict` gives them, mixed precision in float32. inputs: by name, (rows, ...).

    double: compute in float64, with the float32 weights' exact values: the reference that rounding is told by.
    """
    with in_float32(model):
        return _in_double(_run, model, inputs) if double else _run(model, inputs)


def _run(model: keras.Model, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    expected, arrange = signature(model)
    missing = [value.name for value in expected if value.name not in inputs]
    if missing or len(inputs) != len(expected):
        raise BridgeError(f"{model.name}: wants the inputs {[v.name for v in expected]}, got {list(inputs)}.")
    rows = len(next(iter(inputs.values())))
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, max(rows, 1), BATCH):
        args, kwargs = arrange([keras.ops.convert_to_tensor(inputs[v.name][start : start + BATCH]) for v in expected])
        with TFGraphScope():  # a call outside of a graph hands integers to preprocessing layers, `predict` hands floats
            outputs = _called(model, args, kwargs, any(None in (value.shape or ())[1:] for value in expected))
        for name, tensor in named_outputs(model, outputs).items():
            parts.setdefault(name, []).append(np.asarray(tensor))
    return {name: np.concatenate(pieces) for name, pieces in parts.items()}


def _called(model: keras.Model, args: tuple[Any, ...], kwargs: dict[str, Any], any_size: bool) -> Any:
    try:
        return model(*args, training=False, **kwargs)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        if isinstance(error, tf.errors.InvalidArgumentError) and "CTC" in str(error):
            with ctc.unknown():  # random labels are no labels, and its loss is no output
                return model(*args, training=False, **kwargs)
        if not any_size:
            raise
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in keras.tree.flatten((args, kwargs)))
        raise BridgeError(
            f"{model.name}: Keras can't compute it for inputs of {shapes}: {said(error)[:200]}\n{OTHER_SIZE}"
        ) from error
    except tf.errors.UnimplementedError as error:  # many convolutions of channels_first are for GPUs alone
        found = re.search(r"The [A-Z]\w+ op .*?\.", str(error))
        raise BridgeError(
            f"{model.name}: TensorFlow can't run it on this machine, so nothing could be compared: "
            f"{found[0] if found else str(error)[:200]}\n"
            "Convert where TensorFlow has a GPU, or build the model with channels_last."
        ) from None


def run_layers(model: keras.Model, inputs: dict[str, np.ndarray], *, double: bool = False) -> dict[str, Any]:
    """The model's outputs, and what each layer gave, by its path (`dense_1`, second call `dense_1#2`).

    Not the layers within a TimeDistributed: Keras calls them for each step.
    """
    with in_float32(model):
        return _in_double(_run_layers, model, inputs) if double else _run_layers(model, inputs)


def _run_layers(model: keras.Model, inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    found = names(model).layers
    seen: dict[str, np.ndarray] = {}
    count: dict[str, int] = {}
    plain = keras.Layer.__call__
    around: list[keras.Layer] = []

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        around.append(layer)
        result = plain(layer, *args, **kwargs)
        around.pop()
        path = found.get(id(layer))
        by_steps = any(isinstance(outer, keras.layers.TimeDistributed) for outer in around)
        if path and hasattr(result, "shape") and not by_steps:
            count[path] = count.get(path, 0) + 1
            seen[path if count[path] == 1 else f"{path}#{count[path]}"] = np.asarray(result)
        return result

    with mock.patch.object(keras.Layer, "__call__", call), TFGraphScope():
        expected, arrange = signature(model)
        args, kwargs = arrange([keras.ops.convert_to_tensor(inputs[v.name]) for v in expected])
        outputs = model(*args, training=False, **kwargs)
    return {"outputs": {k: np.asarray(v) for k, v in named_outputs(model, outputs).items()}, "layers": seen}


def _in_double(run: Callable[..., Any], model: keras.Model, inputs: dict[str, np.ndarray]) -> Any:
    given = {name: as_double(array) for name, array in inputs.items()}
    with unrounded(), by_parts():
        twin = twin_of(model, lend=True)
        try:
            return run(twin, given)
        except REFUSALS as error:  # its own code says float32
            raise BridgeError(f"{model.name}: Keras can't compute it in float64: {said(error)[:200]}") from None


def twin_of(model: keras.Model, lend: bool = False) -> keras.Model:
    """The model in float64. Raises BridgeError for one that can't be.

    lend: its large weights may be the model's own, in float32; only for inference.
    """
    return model.in_double(lend) if isinstance(model, Operators) else in_double(model, lend=lend)
