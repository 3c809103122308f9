"""Large variables of a float64 twin: they have the float32 model's own numbers, made float64 where they are used.

So the twin takes little memory besides its model's. It is for inference alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import tensorflow as tf
from keras.src import backend
from keras.src.backend.tensorflow.core import Variable

from bridge.graph import stored

_plain_value = Variable.value.fget


class Lent(Variable):
    """A float64 variable with the numbers of another one; zeros until it is lent them, its own once it is assigned."""

    lender: Any = None

    @property
    def value(self) -> tf.Tensor:
        if self._value is not None or self._initializer is not None:
            return _plain_value(self)
        found = tf.zeros(self._shape, self._dtype) if self.lender is None else tf.cast(self.numbers, self._dtype)
        return self._maybe_autocast(found)

    @property
    def numbers(self) -> tf.Tensor:
        """The numbers in the type that they are kept in, not copied."""
        return tf.convert_to_tensor(self.lender.value)

    def _direct_assign(self, value: Any) -> None:
        if self._value is None:
            self._initialize(tf.cast(value, self._dtype))
        else:
            super()._direct_assign(value)


@contextmanager
def begun_without_numbers() -> Iterator[None]:
    """While this lasts, large float64 variables that an initializer would begin are made to be lent theirs."""
    plain = Variable._initialize_with_initializer

    def begin(variable: Variable, initializer: Callable[..., Any]) -> None:
        if variable._dtype == "float64" and 4 * math.prod(variable._shape) > stored.LARGE:
            variable.__class__ = Lent
            variable._value = variable._initializer = None
        else:
            plain(variable, initializer)

    with mock.patch.object(Variable, "_initialize_with_initializer", begin):
        yield


@contextmanager
def by_parts() -> Iterator[None]:
    """While this lasts, of a lent table only the rows that are looked up become float64, and of a lent matrix that is
    multiplied with some rows at a time."""
    with ExitStack() as patches:
        for name, of_lent in (("take", _take), ("matmul", _matmul)):
            plain = getattr(backend.numpy, name)
            patches.enter_context(mock.patch.object(backend.numpy, name, of_lent(plain)))
        yield


def _is_lent(value: Any) -> bool:
    return isinstance(value, Lent) and value._value is None and value.lender is not None


def _take(plain: Callable[..., Any]) -> Callable[..., Any]:
    def take(x: Any, indices: Any, axis: int | None = None) -> Any:
        return tf.cast(plain(x.numbers, indices, axis), x.dtype) if _is_lent(x) else plain(x, indices, axis)

    return take


def _matmul(plain: Callable[..., Any]) -> Callable[..., Any]:
    def matmul(x1: Any, x2: Any) -> Any:
        splits = _is_lent(x2) and len(x2.shape) == 2
        if not splits or not isinstance(x1, tf.Tensor) or x1.dtype != tf.float64 or x1.shape.rank == 1:
            return plain(x1, x2)
        rows = max(1, stored.CHUNK // (8 * x2.shape[1]))
        parts = range(0, x2.shape[0], rows)
        numbers = x2.numbers
        return sum(plain(x1[..., at : at + rows], tf.cast(numbers[at : at + rows], tf.float64)) for at in parts)

    return matmul
