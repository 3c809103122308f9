"""Inputs to try a model on: random, seeded, of the kind that each input takes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from bridge.errors import BridgeError
from bridge.graph.layer import Graph, Value

MOST_BYTES = 2 << 30
_KEEP = ("Cast", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector", "Squeeze", "Unsqueeze", "Transpose")
ANY = 7  # how long an axis of unknown length is


def probe_inputs(
    inputs: Iterable[Value], rows: int = 5, seed: int = 0, below: dict[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Random arrays by input name, (rows, ...): normal floats, bytes over their range, other integers 0 to 9.

    below: inputs that are numbers of things, whatever their type, with how many there are: see `counted`.
    """
    random = np.random.default_rng(seed)
    made = {}
    for value in inputs:
        shape = (rows, *(ANY if size is None else size for size in (value.shape or (None,))[1:]))
        dtype = np.dtype(value.dtype)
        if below and value.name in below:
            made[value.name] = random.integers(0, min(below[value.name], 10), shape).astype(dtype)
        elif dtype.kind in "iu":
            made[value.name] = random.integers(0, 256 if dtype.itemsize == 1 else 10, shape).astype(dtype)
        elif dtype.kind == "b":
            made[value.name] = random.random(shape) < 0.5
        else:
            made[value.name] = random.standard_normal(shape).astype(dtype)
    return made


def counted(graph: Graph) -> dict[str, int]:
    """The inputs that an Embedding takes, perhaps cast or reshaped before, and how many things the smallest knows."""
    names = {value.name for value in graph.inputs}
    found: dict[str, int] = {}
    for node in graph.nodes:
        if node.kind != "Embedding" or node.layer is None:
            continue
        value: str | None = node.inputs[0]
        while value is not None and value not in names:
            maker = graph.maker(value)
            value = maker.inputs[0] if maker is not None and maker.kind in _KEEP else None
        size = node.layer.config.get("input_dim")
        if value is not None and isinstance(size, int) and size > 0:
            found[value] = min(size, found.get(value, size))
    return found


def refuse_huge(graph: Graph, rows: int = 5) -> None:
    """Raises BridgeError if a tensor of the model would take over 2 GiB for the few rows of a probe."""
    for value in graph.values.values():
        size = rows * math.prod(size or 1 for size in (value.shape or ())[1:]) * np.dtype(value.dtype).itemsize
        if size > MOST_BYTES:
            raise BridgeError(f"{graph.name}: {value.name} is {value.shape} for each row, over {MOST_BYTES >> 30} GiB.")


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| / max|expected|; infinity where the shapes differ or a value is not finite."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    if not expected.size:
        return 0.0
    found, expected = found.astype(np.float64), expected.astype(np.float64)  # in int8, |-128| is -128
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
