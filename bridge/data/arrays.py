"""Arrays from .npy and .npz files: headers are checked before memory is taken, and nothing is ever unpickled.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from bridge.data.dataset import Array
from bridge.data.limits import refuse_bomb
from bridge.errors import BridgeError
from bridge.files import existing_file

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_MOST_AXES = 32
_CHUNK = 2**20  # a zip member's readinto makes a copy of what it is asked for
_FIELD = re.compile(
    r"""['"](?P<key>descr|fortran_order|shape)['"]\s*:\s*"""
    r"""(?:['"](?P<text>[<>|=]?[a-zA-Z?]\d{0,5})['"]|(?P<flag>True|False)|\((?P<axes>[\d\s,L]*)\))"""
)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


def read_npy(path: str | Path) -> Array:
    """The array of a .npy file. Raises BridgeError if it is no such file, truncated, or not of numbers."""
    path = existing_file(path, "the data")
    with path.open("rb") as stream:
        return _array(stream, path.stat().st_size, str(path))


def read_npz(path: str | Path, choose: Callable[[list[str]], list[str]]) -> dict[str, Array]:
    """The arrays of a .npz file that `choose` picks from all its names; the others are not unpacked."""
    path = existing_file(path, "the data")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            names = choose(list(members))
            refuse_bomb(path, sum(members[name].file_size for name in names), "Save it with numpy.savez, uncompressed.")
            arrays = {}
            for name in names:
                with archive.open(members[name]) as stream:
                    arrays[name] = _array(stream, members[name].file_size, f"{path}: {name}")
            return arrays
    except _DAMAGED as error:
        raise BridgeError(
            f"{path}: not a whole .npz file (a zip archive): {error or type(error).__name__}.\n"
            "Save it again with numpy.savez, or copy it again."
        ) from None


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Array name -> member. Names are only keys here: nothing is written, so paths in them lead nowhere."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        name = info.filename.removesuffix(".npy")
        if not name.isprintable():
            raise BridgeError(f"{path}: the array name {name[:40]!r} has characters that can't be printed.")
        if name in members:
            raise BridgeError(f"{path}: two arrays are called {name!r}. Save it again with one of each name.")
        if info.flag_bits & 1:
            raise BridgeError(f"{path}: {name} is encrypted, which numpy never writes. Save it with numpy.savez.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BridgeError(f"{path}: {name} is compressed in a way numpy never uses. Save it with numpy.savez.")
        members[name] = info
    if not members:
        raise BridgeError(f"{path}: a zip archive without any .npy array. Save the data with numpy.savez.")
    return members


def _array(stream: IO[bytes], size: int, where: str) -> Array:
    """The array in the `size` bytes of `stream`."""
    shape, fortran, dtype, start = _header(stream, where)
    expected = start + math.prod(shape) * dtype.itemsize
    if expected != size:
        raise BridgeError(
            f"{where}: truncated or damaged: its header says {shape} of {dtype}, {expected:,} bytes; "
            f"it has {size:,}.\nCopy or save it again."
        )
    flat = np.empty(math.prod(shape), dtype)
    if not _fill(stream, flat.view(np.uint8).data):
        raise BridgeError(f"{where}: truncated: it ends before its {expected:,} bytes. Copy or save it again.")
    array = np.ascontiguousarray(flat.reshape(shape[::-1]).T) if fortran else flat.reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _fill(stream: IO[bytes], view: memoryview) -> bool:
    done = 0
    while done < len(view):
        got = stream.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]  # binary files have it, IO doesn't say so
        if not got:
            return False
        done += got
    return True


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """(shape, Fortran order, dtype, bytes before the data). Parsed by pattern: numpy's own reader evaluates it."""
    start = stream.read(8)
    if len(start) < 8 or start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise BridgeError(f"{where}: not a .npy array (it doesn't start as one). Save it with numpy.save.")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, _LONGEST_HEADER)).decode("latin-1")
    fields = {found["key"]: found for found in _FIELD.finditer(text)}
    if "descr" in fields and "O" in (fields["descr"]["text"] or ""):
        raise BridgeError(
            f"{where}: an array of Python objects, stored as a pickle, which bridge never reads.\n"
            "Save it as numbers: numpy.asarray(x, dtype='float32')."
        )
    try:
        dtype = np.dtype(fields["descr"]["text"])
        flag = fields["fortran_order"]["flag"]
        axes = tuple(int(axis.strip(" L")) for axis in fields["shape"]["axes"].split(",") if axis.strip())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BridgeError(f"{where}: its .npy header is damaged or not of a plain array of numbers.") from None
    if not math.prod(axes) or len(axes) > _MOST_AXES:
        raise BridgeError(f"{where}: the data is empty or has too many axes: its header says {axes}.")
    if dtype.kind not in "biuf":
        way = "\nNumber labels that are text: numpy.unique(y, return_inverse=True)[1]." if dtype.kind in "US" else ""
        raise BridgeError(f"{where}: holds {dtype}, expected numbers (integers, floats or booleans).{way}")
    return axes, flag == "True", dtype, 8 + width + length
