"""The array names of Keras's own .npz files: x_train, y_train, x_test, y_test."""

from __future__ import annotations

from pathlib import Path

from bridge.data.dataset import Array, Data, joined
from bridge.data.idx import parts_of
from bridge.errors import BridgeError


def keras_arrays(names: list[str], part: str, path: Path) -> list[str]:
    """The names to read for `part`. Raises BridgeError if one is missing."""
    wanted = [f"{axis}_{stored}" for stored in parts_of(part) for axis in "xy"]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BridgeError(f"{path}: no array {missing[0]!r} for the part {part!r}. Its arrays: {', '.join(names)}.")
    return wanted


def keras_data(arrays: dict[str, Array], part: str, origin: str) -> Data:
    """The rows of `part`, train before test."""
    parts = parts_of(part)
    return joined([Data({"x": arrays[f"x_{name}"]}, arrays[f"y_{name}"], origin) for name in parts], origin)
