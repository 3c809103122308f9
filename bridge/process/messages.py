"""Messages between processes: JSON values with numpy arrays among them."""

from __future__ import annotations

import json
import os
import struct
from typing import IO, Any

import numpy as np

from bridge.errors import BridgeError, CheckFailed

Packed = tuple[bytes, list[np.ndarray]]  # a message: JSON with its lengths before it, then the arrays in it
ERRORS = {kind.__name__: kind for kind in (BridgeError, CheckFailed)}  # those that cross as what they are


def packed(message: Any) -> Packed:
    """A message ready to be sent. Raises TypeError for what can't cross to another process."""
    arrays: list[np.ndarray] = []

    def pack(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(np.ascontiguousarray(value).reshape(value.shape))
            return {"__array__": len(arrays) - 1, "dtype": _dtype(value.dtype), "shape": value.shape}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, dict):
            return {key: pack(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [pack(item) for item in value]
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        return value

    header = json.dumps(pack(message)).encode()
    return struct.pack("<QQ", len(header), len(arrays)) + header, arrays


def _dtype(dtype: np.dtype[Any]) -> str:
    if dtype.isbuiltin == 2:  # bfloat16 and its like: their str says only how many bytes they have
        return dtype.name
    if dtype.kind not in "biuf":
        raise TypeError(f"an array of the type {dtype} can't be sent to another process")
    return dtype.str  # with the order of its bytes


def send(stream: IO[bytes], message: Packed) -> None:
    header, arrays = message
    stream.write(header)
    for array in arrays:
        stream.write(struct.pack("<Q", array.nbytes))
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    length, count = struct.unpack("<QQ", _exactly(stream, 16))
    header = json.loads(_exactly(stream, length))
    blobs = [_exactly(stream, struct.unpack("<Q", _exactly(stream, 8))[0]) for _ in range(count)]

    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            if "__array__" in value:
                return np.frombuffer(bytearray(blobs[value["__array__"]]), value["dtype"]).reshape(value["shape"])
            return {key: unpack(item) for key, item in value.items()}
        if isinstance(value, list):
            return [unpack(item) for item in value]
        return value

    return unpack(header)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
