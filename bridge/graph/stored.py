"""Weights that stay in a file until they are asked for: ONNX's external data, laid out and read back.

A model with large weights is two files: `model.onnx`, and `model.onnx.data` with the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper, helper, numpy_helper

from bridge.files import inside

# Bytes of weights in one protobuf. It could hold 2 GiB, but whatever reads, checks or runs it holds it several times
MOST_INSIDE = 2**29
HUGE = 2**31  # bytes of weights of a model that takes long to run in float64
BESIDE = "weights"  # the file that they are in while a model goes from one process to another
SMALL = 1 << 10  # a smaller tensor stays in the .onnx file: it may be a shape, which checkers want to see
# Where a tensor begins, so that it can be mapped into memory: at a page, a large one where Windows can map it too
PAGE, GRANULE, LARGE = 1 << 12, 1 << 16, 1 << 20
CHUNK = 1 << 24  # bytes handled at a time


class Arrays(Mapping[str, np.ndarray]):
    """Arrays by name, each made or read anew whenever it is asked for: all of them together are never in memory."""

    def __init__(self, makers: Mapping[str, Callable[[], np.ndarray]]):
        self._makers = dict(makers)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __or__(self, others: Mapping[str, np.ndarray]) -> Arrays:
        return Arrays(self._makers | _makers(others))

    def __ror__(self, others: Mapping[str, np.ndarray]) -> Arrays:
        return Arrays(_makers(others) | self._makers)


def _makers(arrays: Mapping[str, np.ndarray]) -> dict[str, Callable[[], np.ndarray]]:
    if isinstance(arrays, Arrays):
        return arrays._makers
    return {name: lambda array=array: array for name, array in arrays.items()}  # type: ignore[misc]


def outside_tensor(name: str, dtype: str, shape: tuple[int, ...], offset: int) -> onnx.TensorProto:
    """A tensor whose numbers begin at `offset` in a file beside the model."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=shape, data_location=onnx.TensorProto.EXTERNAL)
    length = math.prod(shape) * np.dtype(dtype).itemsize
    for key, value in (("location", BESIDE), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def next_offset(end: int, length: int) -> int:
    """Where a tensor of so many bytes begins behind one that ends at `end`."""
    unit = GRANULE if length >= LARGE else PAGE
    return -(-end // unit) * unit


def outside(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The initializers whose numbers are in another file."""
    return [t for t in proto.graph.initializer if external_data_helper.uses_external_data(t)]


def place(tensor: onnx.TensorProto) -> tuple[str, int, int]:
    """The name of the file that a tensor's numbers are in, where they begin, and how many bytes they are."""
    facts = {entry.key: entry.value for entry in tensor.external_data}
    return facts.get("location", ""), int(facts.get("offset") or 0), tensor_bytes(tensor)


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """How many bytes the numbers of a tensor are, by its type and its sizes."""
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    bits = 4 if is_packed(dtype) else 8 * dtype.itemsize
    return int(-(-math.prod(tensor.dims) * bits // 8))


def is_packed(dtype: np.dtype[Any]) -> bool:
    """Whether ONNX puts two numbers of this type into a byte."""
    return dtype.name in ("int4", "uint4", "float4_e2m1fn")


def arrays_of(tensors: Iterable[onnx.TensorProto], file: Path) -> Mapping[str, np.ndarray]:
    """The numbers of tensors of the .onnx file `file`, by name.

    Those that are in a file beside it, which read_proto has checked, are read when they are asked for.
    """
    listed = list(tensors)
    if not any(map(external_data_helper.uses_external_data, listed)):
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in listed}
    return Arrays({tensor.name: partial(_read, tensor, file) for tensor in listed})


def _read(tensor: onnx.TensorProto, file: Path) -> np.ndarray:
    if not external_data_helper.uses_external_data(tensor):
        return numpy_helper.to_array(tensor)
    location, offset, length = place(tensor)
    data = inside(file.parent, location, file)
    dtype, shape = helper.tensor_dtype_to_np_dtype(tensor.data_type), tuple(tensor.dims)
    if is_packed(dtype):
        packed = mapped(data, offset, np.dtype(np.uint8), (length,)).tobytes()
        return numpy_helper.to_array(onnx.TensorProto(data_type=tensor.data_type, dims=shape, raw_data=packed))
    return mapped(data, offset, dtype, shape)


def mapped(file: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of a file as an array that reads them when they are looked at.

    Copied on write: frameworks want arrays that they could write to, and the file never changes.
    """
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(file, dtype, "c", offset, shape))


def pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array in contiguous pieces of some megabytes, in order; each is copied only if it is not contiguous."""
    if array.nbytes <= CHUNK or not array.ndim:
        yield np.ascontiguousarray(array).reshape(array.shape)
    elif array.flags.c_contiguous:
        flat, step = array.reshape(-1), CHUNK // array.itemsize
        for start in range(0, flat.size, step):
            yield flat[start : start + step]
    else:
        step = max(1, CHUNK * len(array) // array.nbytes)
        for start in range(0, len(array), step):
            yield from pieces(array[start : start + step]) if len(array) > 1 else pieces(array[start])


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays of one shape and type are the same, NaN and the sign of zero too; looked at piece by piece."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one.nbytes <= CHUNK or not one.ndim:
        return one.tobytes() == other.tobytes()
    step = max(1, CHUNK * len(one) // one.nbytes)
    return all(one[n : n + step].tobytes() == other[n : n + step].tobytes() for n in range(0, len(one), step))


def not_finite(array: np.ndarray) -> tuple[int, int]:
    """How many values are NaN, and how many infinite; a large array is looked at piece by piece."""
    if array.dtype.kind not in "fV":
        return 0, 0
    nans = infinite = 0
    for piece in pieces(array):
        if piece.dtype.itemsize < 4:  # numpy knows the smallest types by their names alone
            piece = piece.astype(np.float32)
        if not np.isfinite(piece).all():
            nans += int(np.isnan(piece).sum())
            infinite += int(np.isinf(piece).sum())
    return nans, infinite
