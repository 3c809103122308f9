"""scikit-learn's bundled handwritten digits in the shape of MNIST."""

from __future__ import annotations

import numpy as np

from bridge.data.dataset import Array, Data
from bridge.errors import require

_SIZE = 28
_SEED = 0


def read_digits(part: str) -> Data:
    """1,797 digits as x (rows, 28, 28) uint8 0..255, y int64 0..9; "test" is a fifth of each class, "train" the rest.

    Source: UCI's Optical Recognition of Handwritten Digits, https://archive.ics.uci.edu/dataset/80
    """
    require("sklearn", "digits", "the data set digits")
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it ships no types

    stored = load_digits()
    data = Data({"x": _enlarge(stored.images.astype(np.int64))}, stored.target.astype(np.int64), "digits")
    return data if part == "all" else data.take(_rows(stored.target, part == "test"))


def _rows(y: Array, test: bool) -> Array:
    """Indices of the part, ascending: the same everywhere and always."""
    random = np.random.RandomState(_SEED)  # its stream is frozen, a Generator's may change between numpy versions
    held_out = np.zeros(len(y), bool)
    for label in range(10):
        rows = np.flatnonzero(y == label)
        held_out[random.permutation(rows)[: round(len(rows) / 5)]] = True
    return np.flatnonzero(held_out == test)


def _enlarge(images: Array) -> Array:
    """(rows, 8, 8) of 0..16 -> (rows, 28, 28) of 0..255, bilinear with half-pixel centres and repeated edges.

    All in integers (pixel i of 28 lies at (4i - 5) / 14 of 8), so every machine rounds alike.
    """
    small = images.shape[-1]
    weights = np.zeros((_SIZE, small), np.int64)
    for i in range(_SIZE):
        low, rest = divmod(4 * i - 5, 14)
        weights[i, max(low, 0)] += 14 - rest
        weights[i, min(low + 1, small - 1)] += rest
    sums = weights @ images @ weights.T  # in 196ths of a grey level of 16
    return ((sums * 255 + 196 * 8) // (196 * 16)).astype(np.uint8)
