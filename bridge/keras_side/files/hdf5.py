"""HDF5 files read with care: every object is checked from its header before a single number is read.

A file that passes holds groups and plain numeric datasets only: no links, no external or virtual storage, no strings or
references as data, no filters but HDF5's own. Inflated, all its datasets together take at most
max(64 MiB, 50 x the file's real size), and one dataset at most 1100 x its stored bytes (gzip reaches 1032).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import ml_dtypes
import numpy as np

from bridge.errors import BridgeError
from bridge.graph.stored import CHUNK, mapped

TOTAL_FLOOR, TOTAL_FACTOR = 64 << 20, 50
DATASET_FLOOR, DATASET_FACTOR = 1 << 20, 1100
ATTRIBUTE_LIMIT = 16 << 20
DEPTH_LIMIT = 64
_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_LZF,
}


class Weights:
    """A checked, open HDF5 file: its datasets by path, its attributes, its numbers when asked for.

    came: see legacy.fill.
    """

    ordered = True  # its layers are in the model's order

    def __init__(self, file: h5py.File, name: str, size: int, lies: tuple[Path, int] | None = None):
        self._file, self._lies = file, lies
        self.name = name
        self.size = size
        self._loose = size  # bytes that are no numbers: as much as any text in the file can have
        self.groups: set[str] = {""}
        self.datasets: dict[str, h5py.Dataset] = {}
        self.came: dict[int, Any] = {}
        with self._guarded():
            self._survey()

    @property
    def _most(self) -> int:
        return max(TOTAL_FLOOR, TOTAL_FACTOR * self.size)

    @property
    def declared_bytes(self) -> int:
        """Bytes of all numbers, inflated."""
        return sum(_bytes(dataset) for dataset in self.datasets.values())

    def read(self, path: str) -> np.ndarray:
        """One dataset's numbers, in the dtype they were stored in (native byte order).

        Many that lie in one piece are read when they are looked at.
        """
        dataset = self.datasets[path]
        with self._guarded():
            place = self._place(dataset)
            values = np.asarray(dataset[()]) if place is None else mapped(*place, dataset.dtype, dataset.shape)
        if values.dtype.kind == "V":  # h5py has no name for bfloat16, Keras marks it by an attribute
            return values.view(ml_dtypes.bfloat16)
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def _place(self, dataset: h5py.Dataset) -> tuple[Path, int] | None:
        """The file that many numbers lie in as numpy has them, and where they begin; None for all others."""
        if self._lies is None or _bytes(dataset) <= CHUNK or dataset.id.get_storage_size() != _bytes(dataset):
            return None
        offset = dataset.id.get_offset()  # None of chunks
        same = dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype))
        return (self._lies[0], self._lies[1] + offset) if same and offset is not None else None

    def shape(self, path: str) -> tuple[int, ...]:
        return tuple(self.datasets[path].shape)

    def dtype(self, path: str) -> str:
        dtype = self.datasets[path].dtype
        return "bfloat16" if dtype.kind == "V" else dtype.name

    def children(self, path: str) -> list[str]:
        """Paths of all datasets below the group `path`, in the file's order."""
        return [name for name in self.datasets if not path or name.startswith(f"{path}/")]

    def attribute(self, path: str, name: str) -> Any:
        """The value of an attribute as str, number or list; None if there is none. Bytes are read as UTF-8."""
        with self._guarded():
            owner = self._file.get(path or "/")
            if owner is None or name not in owner.attrs:
                return None
            attribute = h5py.h5a.open(owner.id, name.encode())
            count = math.prod(attribute.shape or ())
            # texts of any length lie elsewhere in the file, where several may share one place
            texts = count * self._loose if count > 1 and attribute.dtype.hasobject else 0
            if count * attribute.dtype.itemsize > min(ATTRIBUTE_LIMIT, self.size) or texts > self._most:
                raise BridgeError(f"{self.name}: the attribute {name!r} claims more bytes than the file can hold.")
            return _plain(owner.attrs[name])

    def strings(self, path: str, name: str) -> list[str] | None:
        """A list of strings, which Keras splits over `name0`, `name1`, ... when it is long; None if absent."""
        value = self.attribute(path, name)
        if value is None:
            parts, value = 0, []
            while (part := self.attribute(path, f"{name}{parts}")) is not None:
                value.extend(part if isinstance(part, list) else [part])
                parts += 1
            if not parts:
                return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BridgeError(f"{self.name}: the attribute {name!r} of {path or 'the root'} is not a list of names.")
        return value

    def matched(self, model: Any, renamed: dict[str, str]) -> None:
        """Nothing but names and order tells what is whose."""

    def _survey(self) -> None:
        seen: set[int] = set()
        todo: list[tuple[str, h5py.Group, int]] = [("", self._file["/"], 0)]
        total = 0
        while todo:
            path, group, depth = todo.pop()
            self._once(path, group, seen)
            if depth > DEPTH_LIMIT:
                raise BridgeError(f"{self.name}: its groups are nested deeper than {DEPTH_LIMIT} levels.")
            self.groups.add(path)
            inner = []
            for key in group:
                child = f"{path}/{key}" if path else key
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise BridgeError(
                        f"{self.name}: {child} is a link to another place. Keras writes no links, none is followed."
                    )
                item = group[key]
                if isinstance(item, h5py.Dataset):
                    self._once(child, item, seen)
                    total += self._check(child, item)
                    self.datasets[child] = item
                elif isinstance(item, h5py.Group):
                    inner.append((child, item, depth + 1))
                else:
                    raise BridgeError(f"{self.name}: {child} is neither a group nor a dataset.")
            todo.extend(reversed(inner))
            if total > self._most:
                raise BridgeError(
                    f"{self.name}: its numbers would take {total:,} bytes, more than {TOTAL_FACTOR} times the file's "
                    f"{self.size:,}. Nothing was read."
                )
        self._loose -= sum(dataset.id.get_storage_size() for dataset in self.datasets.values())

    def _once(self, path: str, item: h5py.HLObject, seen: set[int]) -> None:
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise BridgeError(f"{self.name}: {path} is a second name for another object, or a loop.")
        seen.add(address)

    def _check(self, path: str, dataset: h5py.Dataset) -> int:
        if dataset.external:
            raise BridgeError(f"{self.name}: {path} keeps its numbers in another file. None is read from there.")
        if dataset.is_virtual:
            raise BridgeError(f"{self.name}: {path} is a virtual dataset, put together from other files.")
        if dataset.shape is None:
            raise BridgeError(f"{self.name}: {path} has no shape.")
        dtype = dataset.dtype
        bfloat16 = dtype.kind == "V" and dtype.itemsize == 2 and self.attribute(path, "dtype") == "bfloat16"
        if dtype.kind not in "fiub" and not bfloat16:
            raise BridgeError(f"{self.name}: {path} holds {dtype}, not numbers.")
        filters = dataset.id.get_create_plist()
        for index in range(filters.get_nfilters()):
            if filters.get_filter(index)[0] not in _FILTERS:
                raise BridgeError(f"{self.name}: {path} needs an HDF5 plug-in to be read. None is loaded for a file.")
        size, stored = _bytes(dataset), dataset.id.get_storage_size()
        chunk = math.prod(dataset.chunks or ()) * dtype.itemsize
        if max(size, chunk) > max(DATASET_FLOOR, DATASET_FACTOR * stored):
            raise BridgeError(
                f"{self.name}: {path} claims {max(size, chunk):,} bytes and stores {stored:,}. Nothing was read."
            )
        return max(size, chunk)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
            raise _damaged(self.name, error) from error


@contextmanager
def opened(file: Path | IO[bytes], name: str, size: int, lies: tuple[Path, int] | None = None) -> Iterator[Weights]:
    """A checked HDF5 file, open for reading. `name` is what messages call it, `size` its real size in bytes.

    lies: of one that is part of a larger file, that file and where in it it begins.

    Raises BridgeError if it is damaged or breaks one of the rules above.
    """
    try:
        handle = h5py.File(file, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise _damaged(name, error) from error
    try:
        yield Weights(handle, name, size, (file, 0) if isinstance(file, Path) else lies)
    finally:
        handle.close()


def _damaged(name: str, error: BaseException) -> BridgeError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return BridgeError(f"{name}: is damaged or cut short. HDF5 says: {said}.\nGet the file once more from its origin.")


def _bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.shape or ()) * dataset.dtype.itemsize


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return value
