"""Rows through a session, batch by batch: how many at once, on how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.runtime.session import Session

# Bytes of input in a batch, and the least and most rows. CPU: what stays in the cache of one core. Others: what keeps
# a GPU busy.
CPU_BYTES, CPU_ROWS = 2**22, (8, 4096)
DEVICE_BYTES, DEVICE_ROWS = 2**26, (32, 16384)


@dataclass(frozen=True)
class Plan:
    """Rows in a call, and how many calls run at the same time."""

    batch: int
    workers: int


def plan(data: Data, batch: int | None, threads: int | None) -> Plan:
    """How the CPU best evaluates `data`: whole batches side by side, each on one thread, where there are enough.

    Two threads in one operator wait for each other after each; that costs little on an idle machine and half the speed
    on a busy one (784-64-64-10 on 2 busy cores, rows/s, median: 315,000 so, 675,000 side by side).
    """
    cores = threads or usable_cores()
    chosen = batch or _fitting(data, CPU_BYTES, CPU_ROWS, -(-len(data) // cores))
    return Plan(chosen, cores if len(data) > chosen * (cores - 1) else 1)


def device_batch(data: Data) -> int:
    """Rows in a call for a provider that is no CPU."""
    return _fitting(data, DEVICE_BYTES, DEVICE_ROWS, len(data))


def _fitting(data: Data, budget: int, bounds: tuple[int, int], most: int) -> int:
    """The power of two within `bounds` whose float32 rows fill `budget` bytes; less where `most` rows are enough."""
    row_bytes = max(1, sum(array[:1].size * 4 for array in data.inputs.values()))
    rows = 2 ** (min(max(budget // row_bytes, bounds[0]), bounds[1]).bit_length() - 1)
    return int(min(rows, max(most, bounds[0])))


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Batches:
    """The rows of `feeds` as calls of `session`.

    outputs: the names wanted. fixed: the model takes batches of `batch` rows and no other.
    """

    session: Session
    feeds: dict[str, np.ndarray]
    outputs: list[str]
    batch: int
    fixed: bool

    def run(self, rows: slice) -> list[np.ndarray]:
        """The outputs for `rows`; where the batch is fixed, it is filled up with the last row, repeated."""
        part = {name: array[rows] for name, array in self.feeds.items()}
        count = size = rows.stop - rows.start
        if self.fixed and count < self.batch:
            size = self.batch
            part = {name: np.concatenate([a, np.repeat(a[-1:], size - count, axis=0)]) for name, a in part.items()}
        # Plain run: with bound, preallocated outputs the CPU is no faster (measured), and slower for small batches.
        values = self.session.run(part, self.outputs)
        return [self._rows(name, value, size)[:count] for name, value in zip(self.outputs, values, strict=True)]

    def _rows(self, name: str, value: np.ndarray, size: int) -> np.ndarray:
        if value.ndim == 0 or len(value) != size:
            raise BridgeError(
                f"{self.session.name}: its output {name} is {value.shape} for a batch of {size}; "
                "the first axis must be the batch."
            )
        return value if value.dtype in (np.float32, np.float64) else value.astype(np.float32)

    def run_all(self, slices: list[slice], pool: ThreadPoolExecutor | None) -> Iterator[list[np.ndarray]]:
        """The outputs for each of `slices`, in order."""
        return map(self.run, slices) if pool is None else pool.map(self.run, slices)


def fixed_batch(session: Session, asked: int | None) -> int | None:
    """The only batch size that the model takes; None where any does. Raises BridgeError if `asked` is another."""
    sizes = {v.shape[0] for v in session.inputs if v.shape[0] is not None}
    if not sizes:
        return None
    fixed = min(sizes)
    if asked not in (None, fixed):
        raise BridgeError(f"--batch {asked}: {session.name} was exported for batches of {fixed} alone.")
    return fixed
