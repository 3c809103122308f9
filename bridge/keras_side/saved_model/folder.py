"""The files of a SavedModel folder: the expected ones alone, no links, sizes known before anything is read."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import BridgeError

PROGRAM, METADATA, FINGERPRINT = "saved_model.pb", "keras_metadata.pb", "fingerprint.pb"
INDEX, PREFIX = "variables/variables.index", "variables/variables"
METADATA_LIMIT, INDEX_LIMIT, ASSETS_LIMIT = 256 << 20, 64 << 20, 4096
MOST_BYTES = 2**31 - 1  # what one protobuf can hold
_SHARD = re.compile(r"(.+)\.data-(\d{5})-of-(\d{5})", re.DOTALL)


@dataclass(frozen=True)
class Folder:
    """A SavedModel folder whose files were looked at, not read. files: their paths in it and their sizes.

    stem: what the files of its checkpoint are called; those of another one lie alone in any folder.
    """

    path: Path
    files: dict[str, int]
    shards: tuple[str, ...]
    stem: str = PREFIX

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a checkpoint alone."""
        return self.stem != PREFIX

    @property
    def has_variables(self) -> bool:
        return self.index in self.files

    @property
    def index(self) -> str:
        return f"{self.stem}.index"

    @property
    def prefix(self) -> str:
        """What TensorFlow calls the checkpoint."""
        return str(self.path / self.stem)

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.prefix if self.is_checkpoint else str(self.path)

    @property
    def besides(self) -> list[str]:
        """Its files that are not of the checkpoint."""
        return [name for name in self.files if name not in (self.index, *self.shards)]

    def read(self, name: str, limit: int) -> bytes:
        """The content of one of the files. Raises BridgeError if it is over the limit."""
        if self.files[name] > limit:
            raise BridgeError(f"{self.path}: {name} is larger than {limit >> 20} MiB. Nothing was read.")
        return (self.path / name).read_bytes()


def is_saved_model(path: str | Path) -> bool:
    """Whether a path is a folder that holds a SavedModel."""
    return os.path.isdir(path) and any(os.path.lexists(Path(path) / name) for name in (PROGRAM, f"{PROGRAM}txt"))


def look(path: str | Path) -> Folder:
    """The files of a SavedModel folder; others in it are left alone. Raises BridgeError for links and missing ones."""
    path = Path(path)
    if not os.path.lexists(path / PROGRAM):
        raise BridgeError(
            f"{path}: holds its program as text (saved_model.pbtxt), which is not read.\n"
            "Load it with TensorFlow and save it again with tf.saved_model.save."
        )
    files = {PROGRAM: _size(path, PROGRAM)}
    for name in (METADATA, FINGERPRINT):
        if os.path.lexists(path / name):
            files[name] = _size(path, name)
    shards = _variables(path, files)
    for name in ("assets", "assets.extra"):
        _assets(path, name, files)
    if files[PROGRAM] > MOST_BYTES:
        raise BridgeError(f"{path}: {PROGRAM} is larger than 2 GB, which no protobuf can be.")
    return Folder(path, files, shards)


def _variables(path: Path, files: dict[str, int]) -> tuple[str, ...]:
    if not os.path.lexists(path / "variables"):
        return ()
    _is_folder(path, "variables")
    return parts_of(path, PREFIX, files)


def parts_of(path: Path, stem: str, files: dict[str, int]) -> tuple[str, ...]:
    """The data files of the checkpoint `stem` in a folder; their sizes and that of its index join `files`.

    None if it has neither. Raises BridgeError for links, and where some are missing.
    """
    index, (below, name) = f"{stem}.index", os.path.split(stem)
    found = {entry: _SHARD.fullmatch(entry) for entry in sorted(os.listdir(path / below))}
    names = [entry for entry, part in found.items() if part and part[1] == name]
    rest = "the whole folder" if stem == PREFIX else f"all files of the checkpoint, {name}.index and {name}.data-..."
    if not os.path.lexists(path / index):
        if names:
            raise BridgeError(f"{path}: has no {index}, so its weights can't be read. Get {rest}.")
        return ()
    files[index] = _size(path, index)
    if files[index] > INDEX_LIMIT:
        raise BridgeError(f"{path}: {index} is larger than {INDEX_LIMIT >> 20} MiB. Nothing was read.")
    counts = {int(found[entry][3]) for entry in names}  # type: ignore[index]
    if len(counts) != 1 or len(names) != next(iter(counts)):
        raise BridgeError(f"{path}: its weights ({stem}.data-...) are not complete. Get {rest}.")
    names = [os.path.join(below, entry) for entry in names]
    for entry in names:
        files[entry] = _size(path, entry)
    return tuple(names)


def _assets(path: Path, top: str, files: dict[str, int]) -> None:
    if not os.path.lexists(path / top):
        return
    waiting = [top]
    while waiting:
        inner = waiting.pop()
        _is_folder(path, inner)
        for entry in sorted(os.listdir(path / inner)):
            name = f"{inner}/{entry}"
            if os.path.isdir(path / name) and not os.path.islink(path / name):
                waiting.append(name)
            else:
                files[name] = _size(path, name)
            if len(files) + len(waiting) > ASSETS_LIMIT:
                raise BridgeError(f"{path}: holds more than {ASSETS_LIMIT} files. Nothing was read.")


def _is_folder(path: Path, name: str) -> None:
    if os.path.islink(path / name) or not os.path.isdir(path / name):
        raise BridgeError(f"{path}: {name} is a link or no folder. Links are not followed.")


def _size(path: Path, name: str) -> int:
    found = os.lstat(path / name)
    if not stat.S_ISREG(found.st_mode):
        raise BridgeError(
            f"{path}: {name} is a link or a device, not a file. Links are not followed; copy the folder with its files."
        )
    if not os.access(path / name, os.R_OK):
        raise BridgeError(f"{path}: {name} can't be read: permission denied.")
    return found.st_size
