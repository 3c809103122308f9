"""TensorFlow's checkpoints, that of a SavedModel among them: read tensor by tensor; nothing is run for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from bridge.errors import BridgeError
from bridge.graph.stored import pieces, same_bits
from bridge.keras_side.saved_model import table
from bridge.keras_side.saved_model.folder import INDEX_LIMIT, Folder
from bridge.keras_side.weights import view

OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"  # the tensor that says which object each variable belongs to
_DAMAGE = (table.Damaged, tf.errors.OpError, RuntimeError, ValueError, KeyError, TypeError, DecodeError, OSError)
_TEXT = tf.string.as_datatype_enum


@dataclass(frozen=True)
class Stored:
    """A tensor of a checkpoint. dtype: numpy's name, "string" for text."""

    key: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def numpy(self) -> np.dtype:
        """numpy's type; objects for text."""
        return np.dtype(tf.as_dtype(self.dtype).as_numpy_dtype)

    @property
    def nbytes(self) -> int:
        return 0 if self.dtype == "string" else math.prod(self.shape) * self.numpy.itemsize


class Checkpoint:
    """What a checkpoint holds, by TensorFlow's keys. Empty where a SavedModel has no variables.

    Raises BridgeError if the index claims more than the files hold.
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self.stored: dict[str, Stored] = {}
        self._whole: dict[str, table.Entry] = {}  # the tensors that lie in one place
        if folder.has_variables:
            with _guarded(folder):
                self._survey(*table.entries(folder.read(folder.index, INDEX_LIMIT)))

    @property
    def declared_bytes(self) -> int:
        return sum(stored.nbytes for stored in self.stored.values())

    def tensor(self, key: str) -> tf.Tensor:
        """A tensor with its numbers, which TensorFlow holds against their checksum; they are in memory once."""
        with _guarded(self.folder):
            options = {"tensor_names": [key], "shape_and_slices": [""], "dtypes": [self.stored[key].dtype]}
            return tf.raw_ops.RestoreV2(prefix=self.folder.prefix, **options)[0]

    def read(self, key: str) -> np.ndarray:
        """The numbers of a tensor, not to be written to; of text, an array of bytes objects."""
        tensor = self.tensor(key)
        array: np.ndarray = np.asarray(tensor.numpy(), object) if tensor.dtype == tf.string else view(tensor)
        return array

    def holds(self, key: str, array: np.ndarray) -> bool:
        """Whether a tensor is these numbers, bit for bit; looked at in the file, piece by piece."""
        stored, place = self.stored[key], self._whole.get(key)
        if place is None:
            return same_bits(self.read(key), array)
        if (stored.shape, stored.numpy) != (array.shape, array.dtype):
            return False
        with _guarded(self.folder), open(self.folder.path / self.folder.shards[place.shard], "rb") as file:
            file.seek(place.offset)
            return all(file.read(piece.nbytes) == piece.tobytes() for piece in pieces(array))

    @functools.cached_property
    def objects(self) -> TrackableObjectGraph:
        """Which object each variable belongs to, and its key; empty for TensorFlow 1's."""
        graph = TrackableObjectGraph()
        if OBJECTS in self.stored:
            with _guarded(self.folder):
                graph.ParseFromString(self.tensor(OBJECTS).numpy())
        return graph

    def _survey(self, shards: int, entries: list[table.Entry]) -> None:
        if shards != len(self.folder.shards):
            raise table.Damaged(f"it speaks of {shards} data files, there are {len(self.folder.shards)}")
        sizes = [self.folder.files[shard] for shard in self.folder.shards]
        claimed = 0
        for entry in entries:
            if entry.key.startswith(b"\0"):  # a slice of another entry, which says how large the whole is
                continue
            key = entry.key.decode()
            stored = Stored(key, entry.shape, _name(entry.dtype))
            if stored.dtype == "string":  # each text has its length before it, in a byte or more
                whole = math.prod(entry.shape) <= entry.size
            else:
                whole = entry.sliced or stored.nbytes == entry.size
            if entry.shard >= shards or entry.offset + entry.size > sizes[entry.shard] or not whole:
                raise table.Damaged(f"{key} reaches beyond the end of its file, or is not of the size that it claims")
            claimed += entry.size if stored.dtype == "string" else stored.nbytes
            self.stored[key] = stored
            if not entry.sliced and stored.dtype != "string":
                self._whole[key] = entry
        if claimed > sum(sizes):
            raise table.Damaged(f"its tensors claim {claimed:,} bytes, its files hold {sum(sizes):,}")


@contextmanager
def _guarded(folder: Folder) -> Iterator[None]:
    """Makes a refusal of what reading a damaged checkpoint fails with."""
    try:
        yield
    except _DAMAGE as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise BridgeError(
            f"{folder.label}: its variables are damaged or cut short: {said}.\n"
            f"Get {'its files' if folder.is_checkpoint else 'the folder'} once more from its origin."
        ) from error


def _name(dtype: int) -> str:
    if dtype == _TEXT:
        return "string"
    try:
        return str(tf.as_dtype(dtype).name)
    except TypeError:
        raise table.Damaged(f"it holds a tensor of the unknown type {dtype}") from None
