"""Which kind of Keras file is this? Told by its first bytes, never by its name alone."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.keras_side.saved_model.folder import is_saved_model

KERAS, HDF5, SAVED_MODEL = "keras", "hdf5", "saved_model"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_SUFFIXES = (".h5", ".hdf5")


def kind(path: str | Path) -> str:
    """KERAS (a .keras archive), HDF5 or SAVED_MODEL for what is what its name says; raises BridgeError for all else."""
    path = Path(path)
    if is_saved_model(path):
        return SAVED_MODEL
    refuse_checkpoint(path)
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
        f"{path}: bridge reads Keras models from .keras, .h5, .hdf5 and .weights.h5 files, not from {suffix or 'this'}."
    )


def refuse_checkpoint(path: Path) -> None:
    """Raises BridgeError for TensorFlow's checkpoints: NAME.index and NAME.data-..., whose NAME is no file itself."""
    named = re.fullmatch(r"(.+)\.(index|data-\d{5}-of-\d{5})", path.name)
    begin = path.with_name(named[1]) if named else path
    if path.is_dir():
        indices = sorted(path.glob("*.index")) if (path / "checkpoint").is_file() else []
    else:
        indices = [] if named is None and path.is_file() else [begin.with_name(f"{begin.name}.index")]
    if any(index.is_file() for index in indices):
        raise BridgeError(
            f"{path}: is a checkpoint of TensorFlow's: weights alone, in a form that Keras 3 does not read either.\n"
            "Where it was saved, or with tf_keras, load it into the model that your code builds, model.load_weights"
            f"({str(indices[0].with_suffix(''))!r}),\nand save that whole, or its weights to a file that ends in .h5."
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
        f"{path}: is a folder, and no SavedModel (it has no saved_model.pb).\n"
        "Pass a SavedModel folder, or a .keras, .h5, .hdf5 or .weights.h5 file."
    )
