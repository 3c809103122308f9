"""Outputs that appear whole or not at all, and paths that stay inside their folder."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.errors import BridgeError

# What bridge itself writes into its folders; all else in them is the user's
FOLDER_FILES = (
    *("model.onnx", "model.onnx.data", "model.safetensors", "model.py", "map.json"),
    *("history.csv", "checkpoint.safetensors"),
)


def existing_file(path: str | Path, what: str) -> Path:
    """The path of a readable, regular file. `what` names it in the error: "the model", say."""
    path = Path(path)
    if not path.exists():
        raise BridgeError(f"{path}: no such file ({what}).")
    if not path.is_file():
        raise BridgeError(f"{path}: {what} must be a file, this is a folder or a device.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise BridgeError(f"{path}: {what} can't be read: {error.strerror}.") from None
    return path


def inside(folder: Path, name: str, file: Path) -> Path:
    """`folder / name`, refused when it leads out of `folder` (absolute, "..", or through a link)."""
    target = folder / name
    if os.path.isabs(name) or not target.resolve().is_relative_to(folder.resolve()):
        raise BridgeError(
            f"{file}: it refers to {name!r}, which lies outside its own folder. Nothing was read from there."
        )
    return target


def refuse_existing(path: Path, force: bool) -> None:
    """Raises BridgeError if `path` is taken and `force` is not given, or if its parent folder is missing."""
    if path.name in ("", ".."):
        raise BridgeError(f"{path}: names no file or folder of its own to write. Choose a name for the output.")
    if not path.parent.is_dir():
        raise BridgeError(f"{path}: the folder {path.parent} does not exist. Create it first or choose another output.")
    if not force and os.path.lexists(path):
        raise BridgeError(f"{path}: exists already. Choose another output or pass --force to replace it.")


def refuse_input_as_output(output: Path, *inputs: str | Path | None) -> None:
    """Raises BridgeError if writing `output` would change one of `inputs` or a folder that holds it."""
    out = output.resolve()
    for path in inputs:
        if path is None:
            continue
        given = Path(path).resolve()
        if given == out or given.is_relative_to(out):
            raise BridgeError(f"{output}: this output would replace the input {path}. Choose another output.")


@contextmanager
def whole_file(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well, else it vanishes.

    The temporary name keeps the suffix of `path`, because some writers choose the format by it.
    """
    path = Path(path)
    refuse_existing(path, force)
    if path.is_dir():
        raise BridgeError(f"{path}: is a folder, the output must be a file.")
    part = path.with_name(f".{secrets.token_hex(4)}.part.{path.name}")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        _move_file(part, path, force)
    except OSError as error:
        raise BridgeError(f"{path}: could not be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def data_file(path: Path) -> Path:
    """What the weights of `path`, an .onnx file, are in where they are too many for it."""
    return path.with_name(f"{path.name}.data")


@contextmanager
def whole_pair(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A new folder beside `path` to write to, by the final names: a file, and its data file.

    Both take their places when the block ends well, the data first: no file is ever seen without its data, or with the
    data of another one. Otherwise neither does, and what `force` would have replaced is there as before.
    """
    path = Path(path)
    both = (data_file(path), path)
    for each in both:
        refuse_existing(each, force)
        if each.is_dir():
            raise BridgeError(f"{each}: is a folder, the output must be a file.")
    room = path.with_name(f".{secrets.token_hex(4)}.part.{path.name}")
    try:
        room.mkdir()
        yield room
        for each in both:
            with (room / each.name).open("rb+") as written:
                os.fsync(written.fileno())
        _move_pair(room, both, force)
    except OSError as error:
        raise BridgeError(f"{path}: could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


@contextmanager
def whole_checkpoint(prefix: Path, force: bool = False) -> Iterator[Path]:
    """A name in a new folder beside `prefix` to write a checkpoint of TensorFlow's to: files that have more behind it.

    They take their places when the block ends well, the index, without which no other is read, as the last.
    """
    folder, index = prefix.parent, prefix.with_name(f"{prefix.name}.index")
    if os.path.lexists(prefix):
        raise BridgeError(f"{prefix}: is there already. A checkpoint is written by a NAME that no file or folder has.")
    old = [entry for entry in folder.iterdir() if entry.name.startswith(f"{prefix.name}.data-")]
    for each in (index, *old):
        refuse_existing(each, force)
    room = prefix.with_name(f".{secrets.token_hex(4)}.part.{prefix.name}")
    try:
        room.mkdir()
        yield room / prefix.name
        made = sorted((folder / entry.name for entry in room.iterdir()), key=lambda path: path == index)
        for each in made:
            with (room / each.name).open("rb+") as written:
                os.fsync(written.fileno())
        _move_pair(room, tuple(made), force, old)
    except OSError as error:
        raise BridgeError(f"{prefix}: could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _move_pair(room: Path, both: tuple[Path, ...], force: bool, old: Iterable[Path] = ()) -> None:
    """Moves new files to their places, and out of these what was there. old: what else goes."""
    gone = dict.fromkeys([*reversed(both), *old])
    replaced, moved = [each for each in gone if force and os.path.lexists(each)], []
    try:
        for each in replaced:
            os.rename(each, room / f"old.{each.name}")
        for each in both:
            _move_file(room / each.name, each, force=False)
            moved.append(each)
    except BaseException:
        for each in moved:
            each.unlink()
        for each in replaced:
            if os.path.lexists(room / f"old.{each.name}"):
                os.rename(room / f"old.{each.name}", each)
        raise


@contextmanager
def scratch(near: Path | None) -> Iterator[Path]:
    """A folder for what is needed meanwhile: beside the output `near`, on its disk, or where temporary files go."""
    if near is None:
        with tempfile.TemporaryDirectory(prefix="bridge-") as folder:
            yield Path(folder)
        return
    room = near.with_name(f".{secrets.token_hex(4)}.part.{near.name}")
    try:
        room.mkdir()
    except OSError as error:
        raise BridgeError(f"{near}: could not be written: {error.strerror or error}.") from error
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def refuse_without_room(folder: Path, wanted: int) -> None:
    """Raises BridgeError if the disk of `folder` has not so many bytes left."""
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise BridgeError(
            f"{folder}: {wanted / 1e9:.1f} GB are to be written and its disk has {free / 1e9:.1f} GB left. "
            "Nothing was written.\nMake room, or choose an output on another disk."
        )


def _move_file(part: Path, path: Path, force: bool) -> None:
    if force:
        os.replace(part, path)
        return
    try:
        os.link(part, path)  # unlike os.replace, fails when the name was taken meanwhile
    except FileExistsError:
        raise BridgeError(f"{path}: exists already. Choose another output or pass --force to replace it.") from None
    except OSError:  # a file system without hard links
        refuse_existing(path, force)
        os.rename(part, path)


@contextmanager
def whole_folder(
    path: str | Path, force: bool = False, marker: str = "map.json", own: tuple[str, ...] = FOLDER_FILES
) -> Iterator[Path]:
    """A new folder beside `path` to fill; it becomes `path` when the block ends well, else it vanishes.

    With `force` an older result is replaced, but only a folder that has `marker` (one that bridge wrote). What bridge
    wrote there (`own`) goes, all of it: an old history.csv beside new weights would tell of another run. Others stay.
    """
    path = Path(path)
    refuse_existing(path, force)
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or (path / marker).is_file())):
        raise BridgeError(
            f"{path}: is not a folder that bridge wrote (it has no {marker}), so --force does not replace it."
        )
    token = secrets.token_hex(4)
    part, old = path.with_name(f".{token}.part.{path.name}"), path.with_name(f".{token}.old.{path.name}")
    try:
        part.mkdir()
        yield part
        if os.path.lexists(path):
            if not force:
                raise BridgeError(f"{path}: exists already. Choose another output or pass --force to replace it.")
            for kept in path.iterdir():
                if kept.name not in own and not os.path.lexists(part / kept.name):
                    _copy(kept, part / kept.name)
            os.rename(path, old)
        try:
            os.rename(part, path)
        except OSError:
            if old.exists():
                os.rename(old, path)
            raise
    except OSError as error:
        raise BridgeError(f"{path}: could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.is_symlink():  # the folder that it leads to is not ours to delete
            old.unlink()
        shutil.rmtree(old, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
