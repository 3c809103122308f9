"""Tensors from a file into the variables of a model: shapes equal, numbers exact, else one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph.stored import not_finite

PASS_OTHER = "Pass the architecture that these weights were saved from: --arch FILE.py:function"


def labelled(layer: Any, path: str | None = None) -> str:
    """How messages call a layer: `encoder/dense_2 (Dense)`."""
    return f"{path or layer.name} ({type(layer).__name__})"


def exact(values: np.ndarray, shape: tuple[int, ...], dtype: str, what: str, file: str) -> np.ndarray:
    """`values` in `dtype`, if shape and every number stay the same. `what` is such as "dense_2 (Dense): kernel"."""
    if values.shape != tuple(shape):
        raise BridgeError(f"{what} is {values.shape} in {file}, the architecture wants {tuple(shape)}.\n{PASS_OTHER}")
    if values.dtype.name == dtype:
        return values
    with np.errstate(all="ignore"):
        converted = values.astype(dtype)
        same = np.array_equal(converted.astype(values.dtype), values, equal_nan=values.dtype.kind == "f")
    if not same:
        raise BridgeError(
            f"{what} is {values.dtype.name} in {file}, the architecture wants {dtype}: that would change numbers.\n"
            f'Build the architecture with dtype="{values.dtype.name}".'
        )
    return converted


def assign(variable: Any, values: np.ndarray, what: str, file: str) -> None:
    variable.assign(exact(values, variable.shape, variable.dtype, what, file))


def non_finite(model: keras.Model) -> list[str]:
    """One line for each weight that has NaN or infinity in it: `dense/kernel: 3 NaN, 1 infinite of 4,096`."""
    found = []
    for variable in model.weights:
        values = numbers(variable)
        nans, infinite = not_finite(values)
        if nans or infinite:
            path = variable.path.removeprefix(f"{model.name}/")
            found.append(f"{path}: {nans:,} NaN, {infinite:,} infinite of {values.size:,}")
    return found


def numbers(variable: Any) -> np.ndarray:
    """The numbers of a variable, where it has them: not to be written to, nor kept while it may change."""
    tensor = tf.convert_to_tensor(variable.value)
    return tensor._numpy() if tensor.shape.rank else np.asarray(tensor.numpy())


def all_layers(model: keras.Model) -> Iterator[Any]:
    """Every layer at any depth, once."""
    seen: set[int] = set()
    for layer in model._flatten_layers():
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer
