"""IDX files, the format of MNIST: single files (also .gz), pairs and folders.

Format: two zero bytes, a type code, the number of axes, each axis as a big-endian uint32, the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import IO, cast

import numpy as np

from bridge.data.dataset import Array, Data, joined
from bridge.data.limits import refuse_bomb
from bridge.errors import BridgeError
from bridge.files import existing_file, inside

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PREFIX = {"train": "train", "test": "t10k"}


def read_idx(path: str | Path) -> Array:
    """The array of one IDX file. Raises BridgeError if it is no such file, truncated, or inflates beyond reason."""
    path = existing_file(path, "the data")
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if path.suffix == ".gz" and not packed:
        raise BridgeError(f"{path}: not a gzip file, though its name ends in .gz. Rename it or copy it again.")
    try:
        with closing(gzip.open(path) if packed else path.open("rb")) as stream:
            return _array(cast(IO[bytes], stream), path, packed)
    except (EOFError, zlib.error, OSError) as error:
        raise BridgeError(f"{path}: truncated or damaged: {error}. Copy it again.") from None


def _array(stream: IO[bytes], path: Path, packed: bool) -> Array:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= 8:
        raise BridgeError(f"{path}: not an IDX file (it doesn't start as one), such as train-images-idx3-ubyte.")
    axes = stream.read(4 * start[3])
    if len(axes) < 4 * start[3]:
        raise BridgeError(f"{path}: truncated: it ends inside its header. Copy it again.")
    shape, dtype = struct.unpack(f">{start[3]}I", axes), np.dtype(_TYPES[start[2]])
    expected = math.prod(shape) * dtype.itemsize
    if not expected:
        raise BridgeError(f"{path}: the data is empty: its header says {shape}.")
    if packed:
        refuse_bomb(path, expected, "Unpack it yourself if you trust it, and give the unpacked file.")
    elif path.stat().st_size != 4 + len(axes) + expected:
        _refuse_length(path, shape, expected)
    values = stream.read(expected)
    if len(values) != expected or stream.read(1):
        _refuse_length(path, shape, expected)
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _refuse_length(path: Path, shape: tuple[int, ...], expected: int) -> None:
    raise BridgeError(
        f"{path}: truncated or damaged: its header says {shape}, {expected:,} bytes of values, and it has "
        "more or fewer.\nCopy it again."
    )


def read_pair(images: str | Path, labels: str | Path) -> Data:
    """The rows of an images file with those of its labels file."""
    origin = f"{images},{labels}"
    x, y = read_idx(images), read_idx(labels)
    if x.ndim < 2 or y.ndim != 1:
        raise BridgeError(
            f"{origin}: expected images (2 or more axes), then labels (1 axis); found {x.ndim} and {y.ndim} axes."
        )
    return Data({"x": x}, y, origin)


def read_folder(folder: str | Path, part: str) -> Data:
    """The images and labels in `folder`: train-*, t10k-* for part "test", both for "all"."""
    folder = Path(folder)
    parts = []
    for stored in parts_of(part):
        pair = find_pair(folder, stored)
        if pair is None:
            prefix = _PREFIX[stored]
            raise BridgeError(
                f"{folder}: no IDX pair for the part {part!r} there: {prefix}-images-idx3-ubyte and "
                f"{prefix}-labels-idx1-ubyte, also .gz."
            )
        parts.append(read_pair(*pair))
    return joined(parts, str(folder))


def parts_of(part: str) -> tuple[str, ...]:
    """The stored parts that make up `part`."""
    return ("train", "test") if part == "all" else (part,)


def find_pair(folder: Path, part: str) -> tuple[Path, Path] | None:
    """Paths of the images and labels of `part` ("train" or "test"), or None if one is not there."""
    images, labels = (_find(folder, f"{_PREFIX[part]}-{kind}") for kind in ("images-idx3", "labels-idx1"))
    return (images, labels) if images and labels else None


def _find(folder: Path, stem: str) -> Path | None:
    for name in (stem, stem.replace("-idx", ".idx")):
        for suffix in ("-ubyte", "-ubyte.gz"):
            if (folder / f"{name}{suffix}").exists():
                return inside(folder, f"{name}{suffix}", folder)
    return None
