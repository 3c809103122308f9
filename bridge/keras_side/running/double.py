"""A Keras model in float64: the reference by which rounding is told from a fault."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.ops import math_ops

from bridge.errors import BridgeError
from bridge.keras_side.building import architecture
from bridge.keras_side.running.lent import Lent, begun_without_numbers
from bridge.keras_side.weights import numbers, put


def in_double(model: keras.Model, *, lend: bool = False) -> keras.Model:
    """The same model with float64 arithmetic and the float32 weights' exact values.

    lend: the large weights stay in the model, for a twin that is used in inference alone.
    Raises BridgeError for one that can't be built anew.
    """
    try:
        config = model.get_config()
    except NotImplementedError:
        raise BridgeError(f"{model.name}: has no config, so Keras can't compute it in float64.") from None
    own = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    own = {name: kind for name, kind in own.items() if not kind.__module__.startswith(("keras.", "bridge."))}
    held = sum(4 * math.prod(variable.shape) for variable in model.variables)
    policy = keras.config.dtype_policy()
    begun = begun_without_numbers() if lend else contextlib.nullcontext()
    try:
        keras.config.set_dtype_policy("float64")  # for layers that a custom layer makes, which no config tells
        with keras.saving.custom_object_scope(own), architecture.bounded(held, model.name), begun:
            twin = type(model).from_config(_with_dtype(config))
            if not twin.built:
                raise TypeError("it is not built by its config")
    except architecture.REFUSALS as error:
        said = architecture.said(error)[:200]
        raise BridgeError(f"{model.name}: Keras can't build it anew in float64: {said}") from None
    finally:
        keras.config.set_dtype_policy(policy)
    take_values(twin, model)
    return twin


def take_values(twin: keras.Model, model: keras.Model) -> None:
    """Gives the twin the model's weights, and what is computed with beside them."""
    for mine, other in zip(twin.variables, model.variables, strict=True):
        if isinstance(mine, Lent):
            mine.lender = other
        else:
            put(mine, numbers(other))
    for mine, other in zip(twin._flatten_layers(), model._flatten_layers(), strict=True):
        if (
            isinstance(mine, keras.layers.Normalization) and mine.built
        ):  # it holds its statistics once more, as constants
            mine.mean, mine.variance = (keras.ops.cast(value, "float64") for value in (other.mean, other.variance))


@contextlib.contextmanager
def unrounded() -> Iterator[None]:
    """While this lasts, a Python number becomes float64 as it is; TensorFlow's own cast rounds it to float32 first."""
    plain = math_ops.cast

    def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        return plain(np.float64(x) if isinstance(x, float) and dtype == "float64" else x, dtype, name)

    with mock.patch.object(math_ops, "cast", cast), mock.patch.object(tf, "cast", cast):
        yield


def _with_dtype(value: Any, between: bool = False) -> Any:
    """A config in which every float32 is a float64.

    between: in calls of operations, whose numbers are float32 in ONNX; this is how many digits of them torch reads.
    """
    if isinstance(value, dict):
        return {key: _with_dtype(item, between or key == "inbound_nodes") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_dtype(item, between) for item in value)
    if between and isinstance(value, float):
        return float(str(np.float32(value)))
    return "float64" if isinstance(value, str) and value == "float32" else value


def as_double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype == np.float32 else array
