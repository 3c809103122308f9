"""A model whose large weights are looked at in its file and stay there: what `bridge inspect` tells needs no more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import KerasVariable

from bridge.graph.stored import CHUNK, not_finite
from bridge.keras_side import weights

_TYPES = ("float16", "float32", "float64")
_ALIGNED = 64  # bytes; TensorFlow copies what lies elsewhere

Seen = dict[int, tuple[int, int]]


@contextmanager
def looking() -> Iterator[Seen]:
    """While this lasts, a large weight that is made takes no memory, and what a file has for it is looked at alone.

    Gives how many of its numbers are NaN and how many infinite, by the variable's id. Its own numbers are zeros.
    """
    seen: Seen = {}
    put, begin = weights.put, KerasVariable.__init__

    def looked_at(variable: Any, values: np.ndarray) -> None:
        if values.nbytes > CHUNK and values.ndim:
            seen[id(variable)] = not_finite(values)
        else:
            put(variable, values)

    def begun(self: Any, initializer: Any, shape: Any = None, dtype: Any = None, *rest: Any, **named: Any) -> None:
        known = callable(initializer) and isinstance(shape, tuple | list) and all(isinstance(n, int) for n in shape)
        if known and 4 * math.prod(shape) > CHUNK:
            initializer = _untouched
        begin(self, initializer, shape, dtype, *rest, **named)

    with mock.patch.object(weights, "put", looked_at), mock.patch.object(KerasVariable, "__init__", begun):
        yield seen


def _untouched(shape: Any, dtype: Any = None) -> tf.Tensor:
    """Zeros that take no memory before they are read or written."""
    name = keras.backend.standardize_dtype(dtype)
    if name not in _TYPES:
        return tf.zeros(shape, name)
    size = math.prod(shape) * np.dtype(name).itemsize
    memory = np.zeros(size + _ALIGNED, np.uint8)
    start = -memory.ctypes.data % _ALIGNED
    values = memory[start : start + size].view(name).reshape(shape)
    return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
