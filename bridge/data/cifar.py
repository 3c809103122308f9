"""CIFAR-10 as Keras caches it, without unpickling, and in its binary version.

Keras keeps Python 2 pickles. They are read as a list of opcodes (pickletools names them and runs none of them), and
only opcodes that hold or arrange plain data are accepted. Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import pickletools
import tarfile
from collections.abc import Callable

import numpy as np

from bridge.data.dataset import Array, Data
from bridge.data.download import Source, cache_folder, cached, sha256
from bridge.data.idx import parts_of
from bridge.errors import BridgeError
from bridge.files import existing_file, inside

SOURCE = Source(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
_PIXELS = 3 * 32 * 32
_STRINGS = {"SHORT_BINSTRING", "BINSTRING"}
_NUMBERS = {"BININT", "BININT1", "BININT2"}
_ARRANGING = (
    {"PROTO", "STOP", "MARK", "NONE", "NEWFALSE", "EMPTY_DICT", "EMPTY_LIST", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
    | {"BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "APPEND", "APPENDS", "SETITEM", "SETITEMS"}
    | {"GLOBAL", "REDUCE", "BUILD"}  # the array's own; which globals, the next line says
)
_GLOBALS = {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


def read_cifar10(part: str) -> Data:
    """CIFAR-10: x (rows, 32, 32, 3) uint8, y uint8 0..9; 50,000 rows for "train", 10,000 for "test"."""
    names = [name for stored in parts_of(part) for name in _BATCHES[stored]]
    batches = _from_folders(names) or _from_archive(names)
    x = np.concatenate([pixels for pixels, _ in batches])
    y = np.concatenate([labels for _, labels in batches])
    return Data({"x": x}, y, "cifar10", CLASSES)


def _from_folders(names: list[str]) -> list[tuple[Array, Array]]:
    """The batches from the first unpacked folder that has them all; empty if none has."""
    kinds: list[tuple[str, str, Callable[[bytes, str], tuple[Array, Array]]]] = [
        ("cifar-10-batches-py-target/cifar-10-batches-py", "", parse_pickled),  # Keras 3
        ("cifar-10-batches-py", "", parse_pickled),  # Keras 2
        ("cifar-10-batches-bin", ".bin", parse_binary),
    ]
    for folder, suffix, parse in kinds:
        home = cache_folder() / folder
        if all((home / f"{name}{suffix}").exists() for name in names):
            files = [existing_file(inside(home, f"{name}{suffix}", home), "the data") for name in names]
            return [parse(file.read_bytes(), str(file)) for file in files]
    return []


def _from_archive(names: list[str]) -> list[tuple[Array, Array]]:
    target = cache_folder() / "cifar-10-batches-py-target_archive"  # Keras's name for it
    archive = cached("cifar10", target, SOURCE)
    if sha256(archive) != SOURCE.sha256:
        raise BridgeError(
            f"{archive}: not the archive that Keras uses (another SHA-256), so it was not unpacked.\n"
            f"Delete it, or put {SOURCE.url} there."
        )
    batches = []
    with tarfile.open(archive, "r:gz") as members:
        for name in names:
            stream = members.extractfile(f"cifar-10-batches-py/{name}")
            if stream is None:
                raise BridgeError(f"{archive}: {name} is not a file in it. Delete it and run again.")
            batches.append(parse_pickled(stream.read(), f"{archive}: {name}"))
    return batches


def parse_binary(content: bytes, where: str) -> tuple[Array, Array]:
    """(x, y) of a .bin batch: for each row one byte of label, then the pixels."""
    if not content or len(content) % (1 + _PIXELS):
        raise BridgeError(f"{where}: truncated: {len(content):,} bytes are not whole rows of {1 + _PIXELS:,}.")
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    return _batch(rows[:, 1:], rows[:, 0], where)


def parse_pickled(content: bytes, where: str) -> tuple[Array, Array]:
    """(x, y) of a pickled batch {"data": uint8 (rows, 3072), "labels": list, ...}, read without running it."""
    entry, pixels, labels = "", "", list[int]()
    try:
        for opcode, value, _ in pickletools.genops(content):
            if opcode.name in _STRINGS and isinstance(value, str):
                if entry == "data" and len(value) >= _PIXELS:
                    pixels, entry = value, ""
                elif value in ("data", "labels"):
                    entry = value
                elif entry == "labels":
                    entry = ""  # the next key ends the list of labels
            elif opcode.name in _NUMBERS and isinstance(value, int):
                if entry == "labels":
                    labels.append(value)
            elif opcode.name not in _ARRANGING or (opcode.name == "GLOBAL" and value not in _GLOBALS):
                found = str(value) if opcode.name == "GLOBAL" else opcode.name
                raise BridgeError(f"{where}: a pickle with more than data in it ({found}). It was not run.")
    except ValueError as error:
        raise BridgeError(f"{where}: truncated, or not a CIFAR-10 batch: {error}.") from None
    if not labels or len(pixels) != _PIXELS * len(labels):
        raise BridgeError(
            f"{where}: not a CIFAR-10 batch: {len(labels):,} labels for {len(pixels):,} bytes of pixels "
            f"({_PIXELS:,} a row)."
        )
    rows = np.frombuffer(pixels.encode("latin-1"), np.uint8)  # pickletools decodes Python 2's bytes as latin-1
    return _batch(rows.reshape(-1, _PIXELS), np.array(labels), where)


def _batch(pixels: Array, labels: Array, where: str) -> tuple[Array, Array]:
    if not 0 <= labels.min() <= labels.max() < len(CLASSES):
        raise BridgeError(f"{where}: a label lies outside 0 to {len(CLASSES) - 1}.")
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels.astype(np.uint8)
