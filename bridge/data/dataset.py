"""Rows of inputs with their targets, and how they are divided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bridge.errors import BridgeError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Data:
    """Arrays whose first axis is the row, as the file stores them (uint8 stays uint8).

    inputs: name -> array; the one name is "x" where the file doesn't name its inputs.
    targets: one array, one for each output's name, or None where the file has none.
    origin: what the user called the data, for messages.
    classes: names of the classes 0, 1, ... where the source names them.
    Raises BridgeError if the arrays differ in their number of rows or have none.
    """

    inputs: dict[str, Array]
    targets: Array | dict[str, Array] | None
    origin: str
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        rows = {}
        for name, array in self._named():
            if array.ndim == 0:
                raise BridgeError(f"{self.origin}: {name} is a single number; the first axis must be the row.")
            rows[name] = len(array)
        if not self.inputs or 0 in rows.values():
            raise BridgeError(f"{self.origin}: the data is empty (it has no rows).")
        if len(set(rows.values())) > 1:
            counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
            raise BridgeError(f"{self.origin}: every array needs the same number of rows, found: {counts}.")

    def _named(self) -> list[tuple[str, Array]]:
        named = list(self.inputs.items())
        if isinstance(self.targets, dict):
            named += [(f"target {name}", array) for name, array in self.targets.items()]
        elif self.targets is not None:
            named.append(("y", self.targets))
        return named

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def head(self, n: int) -> Data:
        """The first `n` rows (all, if there are fewer) as views."""
        return self._rows(slice(n))

    def take(self, indices: Array) -> Data:
        """The rows `indices`, in that order, as copies."""
        return self._rows(np.asarray(indices))

    def _rows(self, rows: slice | Array) -> Data:
        targets = self.targets
        if isinstance(targets, dict):
            targets = {name: array[rows] for name, array in targets.items()}
        elif targets is not None:
            targets = targets[rows]
        return replace(self, inputs={name: array[rows] for name, array in self.inputs.items()}, targets=targets)


def joined(parts: list[Data], origin: str) -> Data:
    """The rows of all `parts`, in that order; each has the one input "x" and one array of targets."""
    x = [data.inputs["x"] for data in parts]
    y = [np.asarray(data.targets) for data in parts]
    if len(parts) == 1:
        return Data({"x": x[0]}, y[0], origin)
    for kind, arrays in (("x", x), ("y", y)):
        rows = [array.shape[1:] for array in arrays]
        if len(set(rows)) > 1:
            raise BridgeError(
                f"{origin}: the rows of {kind} differ between its parts: {rows}. Read one part at a time."
            )
    return Data({"x": np.concatenate(x)}, np.concatenate(y), origin)


def split(data: Data, fraction: float, seed: int) -> tuple[Data, Data]:
    """(train, validation): shuffled by `seed`, then `fraction` of the rows, rounded, go to validation.

    The shuffle doesn't look at the targets: class shares differ between the sides as chance has it.
    Raises BridgeError if `fraction` is not between 0 and 1 or leaves a side without rows.
    """
    if not 0 < fraction < 1:
        raise BridgeError(f"the validation fraction is {fraction}; it must lie between 0 and 1, such as 0.2.")
    held_out = round(len(data) * fraction)
    if not 0 < held_out < len(data):
        side = "validation" if held_out == 0 else "training"
        raise BridgeError(
            f"{data.origin}: a validation fraction of {fraction} leaves no {side} rows, there are {len(data)} in all.\n"
            "Choose another fraction, or give the validation data as a file."
        )
    order = np.random.default_rng(seed).permutation(len(data))
    return data.take(order[held_out:]), data.take(order[:held_out])
