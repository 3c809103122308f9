"""What the user calls the data -> arrays."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from bridge.data import idx
from bridge.data.arrays import read_npy, read_npz
from bridge.data.dataset import Array, Data
from bridge.data.keras_names import keras_arrays, keras_data
from bridge.data.named import NAMES, READERS
from bridge.data.table import read_csv
from bridge.errors import BridgeError
from bridge.files import existing_file

PARTS = ("train", "test", "all")

_FORMS = f".npz, .csv, a pair x.npy,y.npy, an IDX pair or its folder, or a name: {', '.join(NAMES)}"


def read(spec: str | Path | tuple[str | Path, str | Path], *, label: str | None = "label", part: str = "train") -> Data:
    """The rows of a file, a pair of files, a folder of IDX files or a set that has a name.

    spec: .npz, .csv, one .npy (no targets), "x.npy,y.npy" or "images,labels" (or a tuple of the two), a folder of IDX
        files, or one of NAMES. A name is never taken for a file: write ./digits for a folder of that name.
    .npz: the targets are the array `y`, or one for each output called `y_<output>` or `y:<output>`, or, where the file
        has neither, the array called as `label` says. All others are inputs by their names.
        Files with x_train, y_train, x_test, y_test are read as Keras's own.
    label: the column of a .csv that holds the targets; None if there is none.
    part: "train", "test" or "all" of what is stored in parts; a file that holds one set gives it for every part.
    """
    if part not in PARTS:
        raise BridgeError(f"part {part!r}: unknown. Known: {', '.join(PARTS)}.")
    if isinstance(spec, tuple):
        return _read_pair(*spec)
    if isinstance(spec, str) and spec in READERS:
        return READERS[spec](part)
    path = Path(spec)
    if not path.exists() and str(spec).count(",") == 1:
        x, y = str(spec).split(",")
        return _read_pair(x.strip(), y.strip())
    if path.is_dir():
        return idx.read_folder(path, part)
    if not path.exists() and not path.suffix and os.sep not in str(spec):
        raise _unknown(str(spec))
    existing_file(path, "the data")
    match path.suffix.lower():
        case ".npz":
            return _read_npz(path, label, part)
        case ".npy":
            return Data({"x": read_npy(path)}, None, str(path))
        case ".csv":
            return read_csv(path, label)
    if "idx" in path.name:
        raise BridgeError(f"{path}: an IDX file alone. Give both: images,labels, or the folder that holds them.")
    raise BridgeError(f"{path}: data of a kind that bridge doesn't read.\nIt reads {_FORMS}.")


def _unknown(name: str) -> BridgeError:
    close = difflib.get_close_matches(name, NAMES, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return BridgeError(f"{name}: no such file, and no data set of that name.{hint}\nbridge reads {_FORMS}.")


def _read_pair(x: str | Path, y: str | Path) -> Data:
    npy = [Path(path).suffix.lower() == ".npy" for path in (x, y)]
    if all(npy):
        return Data({"x": read_npy(x)}, read_npy(y), f"{x},{y}")
    if any(npy) or any(Path(path).suffix.lower() in (".npz", ".csv") for path in (x, y)):
        raise BridgeError(f"{x},{y}: a pair is two .npy files, or IDX images and labels.")
    return idx.read_pair(x, y)


def _read_npz(path: Path, label: str | None, part: str) -> Data:
    keras = False

    def choose(names: list[str]) -> list[str]:
        nonlocal keras
        keras = bool({"x_train", "x_test"} & set(names)) and "x" not in names
        return keras_arrays(names, part, path) if keras else names

    arrays = read_npz(path, choose)
    if keras:
        return keras_data(arrays, part, str(path))
    targets = _take_targets(arrays, label)
    if not arrays:
        raise BridgeError(
            f"{path}: no input array, only targets. Its inputs are the arrays not called y or y_<output>."
        )
    return Data(arrays, targets, str(path))


def _take_targets(arrays: dict[str, Array], label: str | None) -> Array | dict[str, Array] | None:
    """Moves the targets out of `arrays`."""
    if "y" in arrays:
        return arrays.pop("y")
    named = [name for name in arrays if name.startswith(("y_", "y:")) and len(name) > 2]
    if named:
        return {name[2:]: arrays.pop(name) for name in named}
    return arrays.pop(label, None) if label else None
