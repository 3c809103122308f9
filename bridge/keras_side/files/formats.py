"""Which kind of Keras file is this? Told by its first bytes, never by its name alone."""

from __future__ import annotations

from pathlib import Path

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.keras_side.checkpoints.files import find
from bridge.keras_side.saved_model.folder import is_saved_model

KERAS, HDF5, SAVED_MODEL, CHECKPOINT = "keras", "hdf5", "saved_model", "checkpoint"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_SUFFIXES = (".h5", ".hdf5")


def kind(path: str | Path) -> str:
    """KERAS (a .keras archive), HDF5, SAVED_MODEL or CHECKPOINT for what is what its name says.

    Raises BridgeError for all else.
    """
    path = Path(path)
    if is_saved_model(path):
        return SAVED_MODEL
    if find(path) is not None:
        return CHECKPOINT
    if path.is_dir():
        raise BridgeError(_folder(path))
    path = existing_file(path, "the Keras model")
    suffix, found = path.suffix.lower(), _content(path)
    if suffix == ".keras":
        if found == KERAS:
            return KERAS
        if found == HDF5:
            raise BridgeError(f"{path}: is an HDF5 file, not a .keras archive.\nIf it is the right file, name it .h5.")
        raise BridgeError(f"{path}: is not a .keras archive (a zip file), {_looks(path)}.")
    if suffix in _HDF5_SUFFIXES:
        if found == HDF5:
            return HDF5
        if found == KERAS:
            raise BridgeError(f"{path}: is a zip archive, not an HDF5 file.\nIf it is the right file, name it .keras.")
        raise BridgeError(f"{path}: is not an HDF5 file, {_looks(path)}.")
    raise BridgeError(
        f"{path}: bridge reads Keras models from .keras, .h5, .hdf5 and .weights.h5 files, SavedModels and "
        f"checkpoints of TensorFlow's (NAME.index),\nnot from {suffix or 'this'}."
    )


def _content(path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
            return KERAS
        offset = 0  # an HDF5 file may begin with a user block of 512, 1024, 2048, ... bytes
        while offset + len(_SIGNATURE) <= size:
            file.seek(offset)
            if file.read(len(_SIGNATURE)) == _SIGNATURE:
                return HDF5
            offset = offset * 2 or 512
    return None


def _looks(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer: run git lfs pull"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f"it is text that begins with {start[:20].decode('ascii')!r}"
    return "it begins with other bytes"


def _folder(path: Path) -> str:
    return (
        f"{path}: is a folder, and no SavedModel (it has no saved_model.pb), nor are checkpoints in it.\n"
        "Pass a SavedModel folder, the NAME of NAME.index, or a .keras, .h5, .hdf5 or .weights.h5 file."
    )
