"""Large variables of a float64 twin: they have the float32 model's own numbers, made float64 where they are used.

So the twin takes little memory besides its model's. It is for inference alone.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import tensorflow as tf
from keras.src import backend
from keras.src.backend.tensorflow.core import Variable
from tensorflow.python.ops import math_ops

from bridge.graph import stored

_plain_value = Variable.value.fget


class Lent(Variable):
    """A float64 variable with the numbers of another one; zeros until it is lent them, its own once it is assigned.

    turned: it is the other one transposed, of two axes.
    """

    lender: Any = None
    turned = False

    @property
    def value(self) -> tf.Tensor:
        if self._value is not None or self._initializer is not None:
            return _plain_value(self)
        if self.lender is None:
            return self._maybe_autocast(tf.zeros(self._shape, self._dtype))
        found = tf.cast(self.numbers, self._dtype)
        return self._maybe_autocast(tf.transpose(found) if self.turned else found)

    @property
    def numbers(self) -> tf.Tensor:
        """The numbers in the type that they are kept in, not copied; as the other one has them."""
        return tf.convert_to_tensor(self.lender.value)

    def parts(self) -> Iterator[tuple[slice, tf.Tensor]]:
        """Some rows of the numbers at a time, in float64, and which these are."""
        numbers = self.numbers
        rows = max(1, stored.CHUNK // (8 * math.prod(numbers.shape[1:])))
        for at in range(0, numbers.shape[0], rows):
            yield slice(at, at + rows), tf.cast(numbers[at : at + rows], tf.float64)

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
    multiplied with, transposed or not, some rows at a time."""
    with ExitStack() as patches:
        for place, name, of_lent in _PATCHED:
            patches.enter_context(mock.patch.object(place, name, of_lent(getattr(place, name))))
        yield


def _is_lent(value: Any) -> bool:
    return isinstance(value, Lent) and value._value is None and value.lender is not None


def _take(plain: Callable[..., Any]) -> Callable[..., Any]:
    def take(x: Any, indices: Any, axis: int | None = None) -> Any:
        straight = _is_lent(x) and not x.turned
        return tf.cast(plain(x.numbers, indices, axis), x.dtype) if straight else plain(x, indices, axis)

    return take


def _gather(plain: Callable[..., Any]) -> Callable[..., Any]:
    def gather(params: Any, *rest: Any, **named: Any) -> Any:
        straight = _is_lent(params) and not params.turned
        found = plain(params.numbers if straight else params, *rest, **named)
        return tf.cast(found, params.dtype) if straight else found

    return gather


def _transpose(plain: Callable[..., Any]) -> Callable[..., Any]:
    def transpose(x: Any, axes: Any = None) -> Any:
        return _turned(x) if _turns(x, axes) else plain(x, axes)

    return transpose


def _tf_transpose(plain: Callable[..., Any]) -> Callable[..., Any]:
    def transpose(a: Any, perm: Any = None, *rest: Any, **named: Any) -> Any:
        return _turned(a) if not rest and not named and _turns(a, perm) else plain(a, perm, *rest, **named)

    return transpose


def _turns(x: Any, axes: Any) -> bool:
    return _is_lent(x) and len(x.shape) == 2 and (axes is None or [axis % 2 for axis in axes] == [1, 0])


def _turned(x: Lent) -> Lent:
    made = copy.copy(x)
    made._shape, made.turned = tuple(reversed(x.shape)), not x.turned
    return made


def _cast(plain: Callable[..., Any]) -> Callable[..., Any]:
    def cast(x: Any, dtype: Any) -> Any:
        return x if _is_lent(x) and dtype == x.dtype else plain(x, dtype)

    return cast


def _matmul(plain: Callable[..., Any]) -> Callable[..., Any]:
    def matmul(x1: Any, x2: Any) -> Any:
        return _product(x1, x2) if _is_product(x1, x2) else plain(x1, x2)

    return matmul


def _tf_matmul(plain: Callable[..., Any]) -> Callable[..., Any]:
    def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, *rest: Any, **named: Any) -> Any:
        if transpose_a or rest or any(named.values()) or not _is_product(a, b):
            return plain(a, b, transpose_a, transpose_b, *rest, **named)
        return _product(a, _turned(b) if transpose_b else b)

    return matmul


def _is_product(x1: Any, x2: Any) -> bool:
    tensor = isinstance(x1, tf.Tensor) and x1.dtype == tf.float64 and (x1.shape.rank or 0) > 1
    return tensor and _is_lent(x2) and len(x2.shape) == 2


def _product(x1: tf.Tensor, x2: Lent) -> tf.Tensor:
    # by Keras's own names: those of TensorFlow lead here
    if x2.turned:
        return tf.concat([_plain_matmul(x1, part, transpose_b=True) for _, part in x2.parts()], -1)
    return sum(_plain_matmul(x1[..., rows], part) for rows, part in x2.parts())


_plain_matmul = math_ops.matmul


def _einsum(plain: Callable[..., Any]) -> Callable[..., Any]:
    def einsum(subscripts: str, *operands: Any, **named: Any) -> Any:
        places = [place for place, operand in enumerate(operands) if _is_lent(operand) and not operand.turned]
        found = re.fullmatch(r"([A-Za-z,]+)->([A-Za-z]*)", subscripts.replace(" ", ""))
        if len(places) != 1 or found is None:
            return plain(subscripts, *operands, **named)
        terms, result, (place,) = found[1].split(","), found[2], places
        letter = terms[place][0]
        if max(map(str.count, terms, letter * len(terms))) > 1 or len(terms) != len(operands):
            return plain(subscripts, *operands, **named)
        made = []
        for rows, part in operands[place].parts():
            given = [_cut(x, term.find(letter), rows) for x, term in zip(operands, terms, strict=True)]
            made.append(plain(subscripts, *given[:place], part, *given[place + 1 :], **named))
        return tf.concat(made, result.index(letter)) if letter in result else sum(made)

    return einsum


def _cut(x: Any, axis: int, rows: slice) -> Any:
    """Some places of an axis of a tensor; all of it for no axis, and of what is lent, which is cut by itself."""
    return x if axis < 0 or _is_lent(x) else x[(slice(None),) * axis + (rows,)]


_PATCHED = (
    (backend.numpy, "take", _take),
    (backend.numpy, "transpose", _transpose),
    (backend.numpy, "matmul", _matmul),
    (backend.numpy, "einsum", _einsum),
    (backend.core, "cast", _cast),
    *((place, "matmul", _tf_matmul) for place in (tf, tf.linalg, math_ops)),
    (tf, "transpose", _tf_transpose),
    (tf, "gather", _gather),
    (tf, "einsum", _einsum),
)
