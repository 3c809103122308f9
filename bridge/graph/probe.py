"""Inputs to try a model on: random, seeded, of the kind that each input takes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bridge.graph.layer import Value

ANY = 7  # how long an axis of unknown length is


def probe_inputs(inputs: Iterable[Value], rows: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    """Random arrays by input name, (rows, ...): normal floats, bytes over their range, other integers 0 to 9."""
    random = np.random.default_rng(seed)
    made = {}
    for value in inputs:
        shape = (rows, *(ANY if size is None else size for size in (value.shape or (None,))[1:]))
        dtype = np.dtype(value.dtype)
        if dtype.kind in "iu":
            made[value.name] = random.integers(0, 256 if dtype.itemsize == 1 else 10, shape).astype(dtype)
        elif dtype.kind == "b":
            made[value.name] = random.random(shape) < 0.5
        else:
            made[value.name] = random.standard_normal(shape).astype(dtype)
    return made


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| / max|expected|; infinity where the shapes differ or a value is not finite."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    if not expected.size:
        return 0.0
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max() / scale)
