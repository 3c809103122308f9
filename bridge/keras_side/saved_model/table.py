"""The index of a TensorFlow checkpoint, read from its bytes: which tensor lies where, before TensorFlow opens it.

It is a LevelDB table: blocks of sorted entries, keys without what they share with the key before; the last 48 bytes say
where the block is that lists the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

from bridge.keras_side.saved_model import snappy

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_SNAPPY = 1  # what TensorFlow compresses blocks with, where it does: Google's own models, those of TensorFlow Hub
_MOST_BYTES = 256 << 20
_KEYS_FLOOR, _KEYS_FACTOR = 1 << 20, 50  # all keys together, of which the file has what they don't share alone


class Damaged(ValueError):
    """The bytes are no such table."""


@dataclass(frozen=True)
class Entry:
    """One tensor. size: its bytes in the shard; 0 for one that is stored in slices, which are entries of their own."""

    key: bytes
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


def entries(data: bytes) -> tuple[int, list[Entry]]:
    """(number of shards, the entries) of an index file. Raises Damaged."""
    try:
        return _entries(data)
    except (IndexError, OverflowError, DecodeError) as error:
        raise Damaged("it is cut short") from error


def _entries(data: bytes) -> tuple[int, list[Entry]]:
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise Damaged("it is no table of tensors, or cut short")
    footer = data[-_FOOTER:]
    _, place = _handle(footer, 0)
    blocks, _ = _handle(footer, place)
    shards, found, seen, size = None, [], set(), 0
    left = max(_KEYS_FLOOR, _KEYS_FACTOR * len(data))
    for _, value in _pairs(_block(data, blocks)):
        block = _block(data, _handle(value, 0)[0])
        size += len(block)
        if size > _MOST_BYTES:
            raise Damaged("its blocks are too large, or lie in one another")
        for key, content in _pairs(block):
            left -= len(key)
            if key in seen or left < 0:
                raise Damaged("it names a tensor twice, or by names that are too long")
            seen.add(key)
            if not key:
                header = BundleHeaderProto.FromString(content)
                if header.endianness != BundleHeaderProto.LITTLE:
                    raise Damaged("it was written on a machine of the other byte order")
                shards = header.num_shards
                continue
            entry = BundleEntryProto.FromString(content)
            shape = tuple(dim.size for dim in entry.shape.dim)
            if any(size < 0 for size in shape) or min(entry.offset, entry.size, entry.shard_id) < 0:
                raise Damaged("it holds a negative size")
            sliced = bool(entry.slices)
            found.append(Entry(key, entry.dtype, shape, entry.shard_id, entry.offset, entry.size, sliced))
    if shards is None:
        raise Damaged("it has no head")
    return shards, found


def _block(data: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    if offset + size + 5 > len(data) - _FOOTER or size < 4:
        raise Damaged("it is cut short")
    block = data[offset : offset + size]
    kind = data[offset + size]
    return _inflated(block, kind) if kind else block


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")  # the places where keys are whole come last
    if end < 0:
        raise Damaged("it is cut short")
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        more, place = _varint(block, place)
        length, place = _varint(block, place)
        if shared > len(key) or place + more + length > end:
            raise Damaged("it is cut short")
        key = key[:shared] + block[place : place + more]
        place += more
        yield key, block[place : place + length]
        place += length


def _inflated(block: bytes, kind: int) -> bytes:
    if kind != _SNAPPY:
        raise Damaged(f"it is compressed in a way ({kind}) that is not known")
    try:
        block = snappy.decompressed(block, _MOST_BYTES)
    except ValueError as error:
        raise Damaged(f"a block of it can't be unpacked: {error}") from None
    if len(block) < 4:
        raise Damaged("it is cut short")
    return block


def _handle(data: bytes, place: int) -> tuple[tuple[int, int], int]:
    offset, place = _varint(data, place)
    size, place = _varint(data, place)
    return (offset, size), place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise Damaged("it holds a number of more than 64 bits")
