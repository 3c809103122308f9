"""Snappy, in which the index of a checkpoint may be compressed: literal bytes, and copies of bytes before them."""

from __future__ import annotations


def decompressed(data: bytes, most: int) -> bytes:
    """The bytes that were compressed. Raises ValueError for damaged ones and for more than `most`, IndexError at an end
    in the midst.
    """
    size, place = _size(data)
    if size > most:
        raise ValueError(f"it would inflate to {size:,} bytes")
    made = bytearray()
    while place < len(data):
        tag = data[place]
        place += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                count = length - 60
                length = int.from_bytes(data[place : place + count], "little") + 1
                place += count
            if place + length > len(data):
                raise ValueError("it is cut short")
            made += data[place : place + length]
            place += length
        else:
            count = (1, 2, 4)[(tag & 3) - 1]
            offset = int.from_bytes(data[place : place + count], "little")
            if tag & 3 == 1:
                length, offset = (tag >> 2 & 7) + 4, offset | (tag >> 5) << 8
            else:
                length = (tag >> 2) + 1
            place += count
            if not 0 < offset <= len(made):
                raise ValueError("it copies what is not there")
            start = len(made) - offset
            piece = made[start : start + length]
            made += (piece * -(-length // offset))[:length]  # a copy may reach into what it writes
        if len(made) > size:
            raise ValueError("it is longer than it says")
    if len(made) < size:
        raise ValueError("it is cut short")
    return bytes(made)


def _size(data: bytes) -> tuple[int, int]:
    size = 0
    for place in range(5):
        size |= (data[place] & 127) << 7 * place
        if data[place] < 128:
            return size, place + 1
    raise ValueError("it has no length")
