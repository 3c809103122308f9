"""What the files are run on: the same rows for all, random or given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bridge.data import Data, fit_to, read
from bridge.errors import BridgeError
from bridge.graph import Value
from bridge.graph.probe import ANY, probe_inputs

ROWS = 64  # random ones
MOST = 400_000  # numbers in these; all layers' results, which are kept, in float64 too, are a hundred times as many
DATA_ROWS = 256  # the first ones of given data


@dataclass(frozen=True)
class Inputs:
    """arrays: by the first file's input names. described: for people."""

    arrays: dict[str, np.ndarray]
    described: str

    def for_file(self, wanted: list[Value], first: list[Value]) -> dict[str, np.ndarray]:
        """The arrays under another file's input names: by name, or in order where the names differ."""
        if {v.name for v in wanted} == set(self.arrays):
            return self.arrays
        return {mine.name: self.arrays[value.name] for mine, value in zip(wanted, first, strict=True)}


def given(data: str | Path | Data | None, label: str | None, part: str) -> Data | None:
    """The data, read where it is still a path or a name."""
    return data if data is None or isinstance(data, Data) else read(data, label=label or None, part=part)


def check_seed(seed: int) -> None:
    if seed < 0:
        raise BridgeError(f"--seed {seed}: must be a whole number, 0 or more.")


def check_rtol(rtol: float) -> None:
    if not (math.isfinite(rtol) and rtol > 0):
        raise BridgeError(f"--rtol {rtol}: must be a positive number, such as 1e-5.")


def make_inputs(
    signatures: list[list[Value]],
    data: Data | None,
    scale: float | None,
    rows: int | None,
    seed: int,
    below: dict[str, int] | None = None,
    unknown: int = ANY,
) -> Inputs:
    """The inputs for files whose inputs match: each size as the first file that fixes it has it.

    below: those that are numbers of things, with how many there are. unknown: how long axes of random inputs are that
    no file fixes.

    Raises BridgeError if `rows` can't be, or the data doesn't fit.
    """
    if rows is not None and rows < 1:
        raise BridgeError(f"--rows {rows}: must be 1 or more.")
    values = [_fixed(value, [found[i] for found in signatures]) for i, value in enumerate(signatures[0])]
    if not values:
        raise BridgeError("the first file has no input, so there is nothing to run it on.")
    if data is None:
        batch = next((v.shape[0] for v in values if v.shape and v.shape[0] is not None), None)
        size = sum(math.prod(unknown if n is None else n for n in (v.shape or (None,))[1:]) for v in values)
        count = rows or batch or min(ROWS, max(1, MOST // max(size, 1)))
        return Inputs(probe_inputs(values, count, seed, below, unknown), f"{_count(count)}, random (seed {seed})")
    chosen = data.head(rows or DATA_ROWS)
    fitted = fit_to(
        chosen, {v.name: (v.shape or (None,))[1:] for v in values}, scale, {v.name: v.dtype for v in values}, below
    )
    arrays = {v.name: fitted[v.name].astype(v.dtype, copy=False) for v in values}
    of = f" of {len(data):,}" if len(chosen) < len(data) else ""
    return Inputs(arrays, f"{_count(len(chosen))}{of} from {data.origin}")


def mismatch(wanted: list[Value], first: list[Value]) -> str:
    """Why a file can't be run on the first file's inputs; "" if it can."""
    if len(wanted) != len(first):
        return f"{len(wanted)} inputs, the first file has {len(first)}"
    pairs = list(zip(wanted, first, strict=True))
    if {v.name for v in wanted} == {v.name for v in first}:
        by_name = {v.name: v for v in first}
        pairs = [(v, by_name[v.name]) for v in wanted]
    for mine, other in pairs:
        a, b = (mine.shape or (None,))[1:], (other.shape or (None,))[1:]
        if len(a) != len(b) or any(x != y for x, y in zip(a, b, strict=True) if None not in (x, y)):
            return f"input {mine.name} is {_shape(a)} a row, the first file's {other.name} {_shape(b)}"
        if mine.dtype != other.dtype:
            return f"input {mine.name} is {mine.dtype}, the first file's {other.name} {other.dtype}"
    return ""


def _fixed(value: Value, same: list[Value]) -> Value:
    """`value` with the sizes that any of the files fixes; `same` are that input in every file."""
    shape = value.shape or (None,)
    known = [v.shape for v in same if v.shape is not None and len(v.shape) == len(shape)]
    sizes = [next((s[axis] for s in known if s[axis] is not None), None) for axis in range(len(shape))]
    return replace(value, shape=tuple(sizes))


def _shape(sizes: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in sizes) or "1 value"


def _count(rows: int) -> str:
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"
