"""QR, singular values and eigenvalues of small matrices by operators that ONNX has, in the place of TensorFlow's.

QR is that of Householder's reflections, with the signs that TensorFlow has. Singular values and the eigenvalues of
symmetric matrices come by Jacobi's rotations, which converge in a few rounds; the signs of their vectors, which
libraries choose as they like, are not TensorFlow's: where a model's outputs depend on them, its proof tells.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import gen_linalg_ops

MOST, LONGEST = 16, 64  # the smaller and the larger size
_TINY = float(np.finfo(np.float32).tiny)


@contextlib.contextmanager
def standing_in() -> Iterator[None]:
    """Puts these in the place of TensorFlow's, for matrices of known, small sizes."""
    with (
        mock.patch.object(tf.linalg, "qr", _small(qr, gen_linalg_ops.qr)),
        mock.patch.object(gen_linalg_ops, "qr", _small(qr, gen_linalg_ops.qr)),
        mock.patch.object(gen_linalg_ops, "svd", _small(svd, gen_linalg_ops.svd)),
        mock.patch.object(gen_linalg_ops, "self_adjoint_eig_v2", _small(eigh, gen_linalg_ops.self_adjoint_eig_v2)),
    ):
        yield


def _small(function: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    def call(input: Any, *options: Any, name: str | None = None, **named: Any) -> Any:
        x = tf.convert_to_tensor(input)
        sizes = x.shape[-2:]
        known = sizes.is_fully_defined() and x.dtype.is_floating and 0 < min(sizes) <= MOST
        if not known or max(sizes) > LONGEST or not tf.inside_function():
            return plain(x, *options, name=name, **named)
        return function(x, *options, **named)

    return call


def qr(x: tf.Tensor, full_matrices: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
    """(..., m, n) -> (..., m, k), (..., k, n), k = min(m, n), or m for full matrices."""
    rows, columns = x.shape[-2:]
    q = tf.eye(rows, dtype=x.dtype) + tf.zeros_like(x[..., :1] * tf.zeros((1, rows), x.dtype))
    r = x
    for place in range(min(rows - 1, columns)):
        column = r[..., place : place + 1]
        first, tail = column[..., place : place + 1, :], column[..., place + 1 :, :]
        rest = tf.reduce_sum(tail**2, -2, keepdims=True)
        none = rest <= _TINY  # nothing to reflect, and no gradient of a root of 0
        length = tf.sqrt(tf.where(none, tf.ones_like(rest), first**2 + rest))
        head = tf.where(first >= 0, -length, length)
        factor = tf.where(none, tf.zeros_like(head), (head - first) / head)
        above = tf.zeros_like(column[..., :place, :])
        v = tf.concat([above, tf.ones_like(first), tail / (first - head)], -2)
        r -= factor * (v * tf.reduce_sum(v * r, -2, keepdims=True))
        q -= factor * (
            tf.reduce_sum(q * tf.linalg.matrix_transpose(v), -1, keepdims=True) * tf.linalg.matrix_transpose(v)
        )
    kept = rows if full_matrices else min(rows, columns)
    return q[..., :kept], (r * tf.constant(np.triu(np.ones((rows, columns))), x.dtype))[..., :kept, :]


def svd(x: tf.Tensor, compute_uv: bool = True, full_matrices: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """(..., m, n) -> the values (..., k), the largest first, (..., m, k) and (..., n, k) with x = u s v'."""
    rows, columns = x.shape[-2:]
    if rows < columns:
        s, v, u = svd(tf.linalg.matrix_transpose(x), compute_uv, full_matrices)
        return s, u, v
    largest = tf.reduce_max(tf.abs(x), [-2, -1], keepdims=True)
    scale = tf.where(largest > 0, largest, tf.ones_like(largest))  # powers of four come up
    turned, v = _rotated(x / scale, compute_uv)
    squares = tf.reduce_sum(turned**2, -2)
    some = squares > 0
    s = tf.where(some, tf.sqrt(tf.where(some, squares, tf.ones_like(squares))), tf.zeros_like(squares))
    s, order = tf.math.top_k(s, columns)
    values = s * scale[..., 0]
    if not compute_uv:
        return values, tf.zeros([0], x.dtype), tf.zeros([0], x.dtype)
    turned, v = (_ordered(each, order) for each in (turned, v))
    u = tf.math.divide_no_nan(turned, s[..., None, :])
    if full_matrices and rows > columns:
        u = tf.concat([u, qr(u, full_matrices=True)[0][..., columns:]], -1)
    return values, u, v


def eigh(x: tf.Tensor, compute_v: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """(..., n, n) -> the eigenvalues (..., n), the smallest first, and vectors, of the symmetric matrix below."""
    size = x.shape[-1]
    lower = x * tf.constant(np.tril(np.ones((size, size))), x.dtype)
    x = lower + tf.linalg.matrix_transpose(lower * tf.constant(np.tril(np.ones((size, size)), -1), x.dtype))
    # with no eigenvalue below zero they are singular values
    bound = tf.stop_gradient(tf.reduce_max(tf.reduce_sum(tf.abs(x), -1, keepdims=True), -2, keepdims=True))
    scale = tf.where(bound > 0, bound, tf.ones_like(bound))
    _, v = _rotated(x / scale + tf.eye(size, dtype=x.dtype), True)
    values = tf.reduce_sum(v * tf.matmul(x, v), -2)
    order = tf.math.top_k(-values, size)[1]
    return _ordered(values[..., None, :], order)[..., 0, :], _ordered(v, order)


def _ordered(x: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """The columns of (..., m, n) in an order (..., n)."""
    chosen = tf.cast(tf.equal(tf.range(x.shape[-1])[:, None], order[..., None, :]), x.dtype)
    return tf.matmul(x, chosen)


def _rotated(x: tf.Tensor, vectors: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """x v, whose columns are orthogonal, and v, a product of rotations of pairs of columns."""
    rows, columns = x.shape[-2:]
    if vectors:
        x = tf.concat([x, tf.eye(columns, dtype=x.dtype) + tf.zeros_like(x[..., :1, :])], -2)
    if columns > 1:
        sweeps = 4 + math.ceil(math.log2(columns))
        x = tf.while_loop(lambda i, x: i < sweeps, lambda i, x: (i + 1, _sweep(x, rows)), [0, x])[1]
    return x[..., :rows, :], x[..., rows:, :]


def _sweep(x: tf.Tensor, rows: int) -> tf.Tensor:
    """x after each pair of columns was rotated once, so that their first rows are orthogonal; all that can at once."""
    columns = x.shape[-1]
    places = [*range(columns)]  # where each column is
    for pairs in _rounds(columns):
        left, right = ([places[pair[side]] for pair in pairs] for side in (0, 1))
        apart = [place for place in range(columns) if place not in (*left, *right)]
        a, b = tf.gather(x, left, axis=-1), tf.gather(x, right, axis=-1)
        above, behind = a[..., :rows, :], b[..., :rows, :]
        both = tf.reduce_sum(above * behind, -2, keepdims=True)
        wide = tf.reduce_sum(behind * behind - above * above, -2, keepdims=True)
        square = wide * wide + 4.0 * both * both
        root = tf.sqrt(tf.where(square > 0, square, tf.ones_like(square)))
        sign = tf.where(wide >= 0, tf.ones_like(wide), -tf.ones_like(wide))
        tangent = 2.0 * both * sign / (tf.abs(wide) + root)
        cosine = tf.math.rsqrt(1.0 + tangent * tangent)
        sine = cosine * tangent
        turned = [cosine * a - sine * b, sine * a + cosine * b]
        x = tf.concat([*turned, tf.gather(x, apart, axis=-1)] if apart else turned, -1)
        now = {place: number for number, place in enumerate([*left, *right, *apart])}
        places = [now[place] for place in places]
    return tf.gather(x, places, axis=-1)


def _rounds(columns: int) -> Iterator[list[tuple[int, int]]]:
    """All pairs of columns, in rounds of pairs that have none in common."""
    order = [*range(columns + columns % 2)]
    for _ in order[1:]:
        pairs = zip(order[: len(order) // 2], reversed(order), strict=False)
        yield [pair for pair in pairs if max(pair) < columns]
        order = [order[0], order[-1], *order[1:-1]]
