"""Tensors from a file into the variables of a model: shapes equal, numbers exact, else one clear error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import KerasVariable

from bridge.errors import BridgeError
from bridge.graph.stored import CHUNK, not_finite

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
    put(variable, exact(values, variable.shape, variable.dtype, what, file))


def put(variable: Any, values: np.ndarray) -> None:
    """Gives a variable its numbers; many piece by piece, because TensorFlow copies what it is given."""
    if values.nbytes <= CHUNK or not values.ndim:
        variable.assign(values)
        return
    step, handle = max(1, CHUNK * len(values) // values.nbytes), variable.value.handle
    for start in range(0, len(values), step):
        # variable[start:end].assign would read the variable first, and so have all of it copied
        part = {"begin": [start], "end": [min(start + step, len(values))], "strides": [1]}
        piece = values[start : start + step].astype(variable.dtype, copy=False)
        tf.raw_ops.ResourceStridedSliceAssign(ref=handle, **part, value=piece)
    tf.raw_ops.DisableCopyOnRead(resource=handle)  # or every later reading would copy it, in case of more pieces


@contextmanager
def in_pieces() -> Iterator[None]:
    """While this lasts, whatever Keras assigns to a variable goes there by `put`."""
    plain = KerasVariable.assign

    def assigned(variable: Any, value: Any) -> Any:
        large = isinstance(value, np.ndarray) and value.nbytes > CHUNK and value.shape == tuple(variable.shape)
        return put(variable, value) if large and value.dtype.name == variable.dtype else plain(variable, value)

    with mock.patch.object(KerasVariable, "assign", assigned):
        yield


def non_finite(model: keras.Model, seen: Mapping[int, tuple[int, int]] | None = None) -> list[str]:
    """One line for each weight that has NaN or infinity in it: `dense/kernel: 3 NaN, 1 infinite of 4,096`.

    seen: how many there are of both, by the variable's id, where that is known already.
    """
    found = []
    for variable in model.weights:
        nans, infinite = (seen or {}).get(id(variable)) or not_finite(numbers(variable))
        if nans or infinite:
            path = variable.path.removeprefix(f"{model.name}/")
            found.append(f"{path}: {nans:,} NaN, {infinite:,} infinite of {math.prod(variable.shape):,}")
    return found


def numbers(variable: Any) -> np.ndarray:
    """The numbers of a variable, where it has them: not to be written to, nor kept while it may change."""
    return view(tf.convert_to_tensor(variable.value))


def view(tensor: tf.Tensor) -> np.ndarray:
    """The numbers of a tensor, where it has them: not to be written to."""
    return tensor._numpy() if tensor.shape.rank else np.asarray(tensor.numpy())
