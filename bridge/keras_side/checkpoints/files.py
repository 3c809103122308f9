"""The files of a checkpoint of TensorFlow's, NAME.index and NAME.data-00000-of-0000N: which are meant and there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import BridgeError
from bridge.keras_side.saved_model.folder import Folder, is_saved_model, parts_of

LIST = "checkpoint"  # a text that TensorFlow keeps beside checkpoints: which there are, and which is the newest
_LIST_LIMIT = 1 << 20
_PART = re.compile(r"(.+)\.(index|data-\d{5}-of-\d{5}|meta)")
_NEWEST = re.compile(rb'^model_checkpoint_path: "((?:[^"\\\n]|\\.)*)"', re.MULTILINE)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")


@dataclass(frozen=True)
class Found:
    """A checkpoint that a path means. name: of its files, without their endings; others: in its folder."""

    prefix: Path
    others: int = 0

    @property
    def note(self) -> str | None:
        """What users should know where they named a folder alone."""
        if not self.others:
            return None
        folder = self.prefix.parent.resolve().name
        return f"Of the {self.others + 1} checkpoints in {folder} the newest was read: {self.prefix.name}."


def find(path: str | Path) -> Found | None:
    """The checkpoint that a path means: NAME, one of its files, or its folder; None if it means none.

    Raises BridgeError for a folder that does not tell which of its checkpoints is meant.
    """
    path = Path(path)
    if path.is_dir():
        inside = _in_folder(path)
        return inside if inside is not None or not _is_prefix(path) else Found(path)
    if path.name == LIST and path.is_file():
        return _in_folder(path.parent)
    if (part := _PART.fullmatch(path.name)) and _is_prefix(path.with_name(part[1])):
        return Found(path.with_name(part[1]))
    return Found(path) if not path.is_file() and _is_prefix(path) else None


def is_checkpoint(path: str | Path) -> bool:
    """Whether a path means a checkpoint, or a folder of several."""
    try:
        return not is_saved_model(path) and find(path) is not None
    except BridgeError:
        return True


def look(prefix: Path) -> Folder:
    """The files of a checkpoint. Raises BridgeError for links and missing ones."""
    files: dict[str, int] = {}
    shards = parts_of(prefix.parent, prefix.name, files)
    return Folder(prefix.parent, files, shards, prefix.name)


def all_files(path: str | Path) -> list[Path]:
    """The files of the checkpoint that a path means; none if it means none."""
    found = find(path)
    return [] if found is None else [found.prefix.parent / name for name in look(found.prefix).files]


def _is_prefix(path: Path) -> bool:
    """Whether files of that name are there, one of them at least."""
    if path.name in ("", "..") or not path.parent.is_dir():
        return False
    return any(part[1] == path.name and part[2] != "meta" for part in _parts(path.parent))


def _parts(folder: Path) -> list[re.Match[str]]:
    try:
        return [part for entry in os.listdir(folder) if (part := _PART.fullmatch(entry))]
    except OSError:  # whoever opens it will tell
        return []


def _in_folder(folder: Path) -> Found | None:
    names = sorted({part[1] for part in _parts(folder) if part[2].startswith("data")})
    listed = folder / LIST
    if listed.is_file() and not listed.is_symlink() and listed.stat().st_size <= _LIST_LIMIT:
        newest = _newest(listed.read_bytes())
        if newest is not None:
            if (named := _inside(folder, newest)) is not None:
                return Found(named, len(names) - 1 if named.parent == folder else 0)
            name = re.split(r"[/\\]", newest)[-1]  # where it was written the folder may have had another name
            if name in names:
                return Found(folder / name, len(names) - 1)
            there = f" It has {', '.join(names[:4])}: pass one of these." if names else ""
            raise BridgeError(
                f"{listed}: names {newest!r} as the newest checkpoint, whose files are not all in this folder.{there}\n"
                "Get all files of the checkpoint: NAME.index and NAME.data-..."
            )
    if len(names) > 1:
        raise BridgeError(
            f"{folder}: holds several checkpoints and no list of them (a file named {LIST}).\n"
            f"Pass one: {', '.join(str(folder / name) for name in names[:4])}"
        )
    return Found(folder / names[0]) if names else None


def _inside(folder: Path, name: str) -> Path | None:
    """A checkpoint in the folder, or in one below it; None if it leads elsewhere, or is not there."""
    path = folder / name
    below = not os.path.isabs(name) and ".." not in Path(name).parts
    return path if below and path.parent.resolve().is_relative_to(folder.resolve()) and _is_prefix(path) else None


def _newest(text: bytes) -> str | None:
    found = _NEWEST.search(text)
    return None if found is None else _ESCAPE.sub(_character, found[1]).decode(errors="replace")


def _character(escape: re.Match[bytes]) -> bytes:
    """What a protobuf's text writes as an escape: bytes beyond ASCII in octal."""
    return bytes([int(escape[1], 8) & 255]) if len(escape[1]) == 3 else escape[1]
