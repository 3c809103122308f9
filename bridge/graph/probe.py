"""Inputs to try a model on: random, seeded, of the kind that each input takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from bridge.errors import BridgeError
from bridge.graph.layer import Graph, Value
from bridge.graph.looked_up import VOCABULARY, counted

MOST_BYTES, MOST_TOGETHER = 2 << 30, 8 << 30  # of a tensor, of all
ROWS = 5
_SMALLER = "Is a size in its config wrong? Else convert it for smaller inputs."
ANY = 7  # how long an axis of unknown length is
# And where a model can't be computed for that: poolings and strides that must fit together, kernels that need more
LONGER = (16, 32, 64, 96, 128, 256)


def probe_inputs(
    inputs: Iterable[Value],
    rows: int = ROWS,
    seed: int = 0,
    below: dict[str, int] | None = None,
    unknown: int = ANY,
) -> dict[str, np.ndarray]:
    """Random arrays by input name, (rows, ...): normal floats, bytes over their range, other integers 0 to 9.

    below: inputs that are numbers of things, whatever their type, with how many there are: see `looked_up.counted`.
    unknown: how long an axis of unknown length is made.
    """
    random = np.random.default_rng(seed)
    made = {}
    for value in inputs:
        shape = (rows, *_sizes(value, unknown))
        dtype = np.dtype(value.dtype)
        if below and value.name in below:
            made[value.name] = random.integers(0, min(below[value.name], VOCABULARY), shape).astype(dtype)
        elif dtype.kind in "iu":
            made[value.name] = random.integers(0, 256 if dtype.itemsize == 1 else 10, shape).astype(dtype)
        elif dtype.kind == "b":
            made[value.name] = random.random(shape) < 0.5
        else:
            made[value.name] = random.standard_normal(shape).astype(dtype)
    return made


def probe_of(graph: Graph, rows: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs that a model can be computed for; as many rows as the proof takes, if no other number is given."""
    return probe_inputs(graph.inputs, rows or probe_rows(graph), seed, counted(graph), unknown(graph))


def unknown(graph: Graph) -> int:
    """How long the model's axes of unknown length are made: what its conversion found that it can be computed for."""
    length = graph.source.get("unknown", ANY)
    return length if length in LONGER else ANY


def probe_rows(graph: Graph) -> int:
    """How many rows the proof of a conversion takes: a few, of a model with very large tensors fewer."""
    sizes = [_bytes(value, 1, unknown(graph)) for value in graph.values.values()]
    fits = (n for n in (ROWS, 2) if n * max(sizes, default=0) <= MOST_BYTES and n * sum(sizes) <= MOST_TOGETHER >> 1)
    return next(fits, 1)


def refuse_huge(graph: Graph, rows: int) -> None:
    """Raises BridgeError if a tensor of the model would take over 2 GiB for so many rows of a probe, or all over 8."""
    total = 0
    for value in graph.values.values():
        size = _bytes(value, rows, unknown(graph))
        total += size
        if size > MOST_BYTES:
            raise too_large(graph.name, value.name, (rows, *_sizes(value, unknown(graph))), size)
    if total > MOST_TOGETHER:  # Keras holds all of them until the last is there
        raise BridgeError(
            f"{graph.name}: its {len(graph.values)} tensors take {total / 2**30:,.1f} GiB for {_rows(rows)} of inputs, "
            f"on which a conversion is proved; at most {MOST_TOGETHER >> 30} are taken. Nothing was run.\n{_SMALLER}"
        )


def too_large(model: str, what: str, shape: Sequence[int], size: int) -> BridgeError:
    """The refusal of a tensor of so many bytes. shape: with the rows of the probe."""
    return BridgeError(
        f"{model}: {what} gives a tensor of {' x '.join(map(str, shape))}, {size / 2**30:,.1f} GiB, for the random "
        f"inputs on which a conversion is proved; at most {MOST_BYTES >> 30} are taken. Nothing was run.\n{_SMALLER}"
    )


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count > 1)}"


def _sizes(value: Value, unknown: int) -> list[int]:
    """How large a value is behind the batch, for a probe."""
    return [unknown if size is None else size for size in (value.shape or ())[1:]]


def _bytes(value: Value, rows: int, unknown: int) -> int:
    return rows * math.prod(_sizes(value, unknown)) * np.dtype(value.dtype).itemsize


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| / max|expected|; infinity where the shapes differ or a value is not finite."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    if not expected.size:
        return 0.0
    found, expected = found.astype(np.float64), expected.astype(np.float64)  # in int8, |-128| is -128
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
