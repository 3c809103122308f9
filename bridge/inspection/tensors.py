"""A .safetensors file, told from its header: a JSON object after 8 bytes of length."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from onnx import TensorProto, helper

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.graph.stored import mapped, not_finite
from bridge.inspection.result import Inspection, Layer, Weight
from bridge.strict_json import object_of

HEADER_LIMIT = 100_000_000  # the format's own
_TYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
    "F8_E4M3": ("float8_e4m3", 1),
    "F8_E5M2": ("float8_e5m2", 1),
}
_FLOATS = {name: np.dtype(name) for name in ("float16", "float32", "float64")}
_FLOATS["bfloat16"] = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)


@dataclass(frozen=True)
class Header:
    """weights: in the order of the file. metadata: what the writer said. not_finite: weights with NaN or infinity."""

    weights: list[Weight]
    metadata: dict[str, str]
    not_finite: list[str]


def read_header(path: Path) -> Header:
    """The tensors of a safetensors file. Raises BridgeError if the header contradicts itself or the file's size."""
    path = existing_file(path, "the weights")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(HEADER_LIMIT, size - 8):
            raise BridgeError(f"{path}: is not a safetensors file, or it is truncated: its header has {length} bytes.")
        header = object_of(file.read(length), f"{path}: is not a safetensors file: its header is not a JSON object.")
        metadata = header.pop("__metadata__", {})
        weights, bad, data = [], [], 8 + length
        for name, entry in sorted(header.items(), key=lambda item: _begin(item[1])):
            weight, begin, _ = _entry(name, entry, path, size - data)
            weights.append(weight)
            if weight.dtype in _FLOATS:
                values = mapped(path, data + begin, _FLOATS[weight.dtype], (weight.size,))
                if any(not_finite(values)):
                    bad.append(name)
    metadata = {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {}
    return Header(weights, metadata, bad)


def inspect_safetensors(path: Path) -> Inspection:
    """What is in a safetensors file."""
    header = read_header(path)
    groups: dict[str, list[Weight]] = {}
    for weight in header.weights:
        layer, _, _ = weight.name.rpartition(".")
        groups.setdefault(layer, []).append(weight)
    beside = path.with_name("model.onnx")
    return Inspection(
        path=str(path),
        format="safetensors, weights only",
        facts={key: value for key, value in header.metadata.items() if key.isprintable() and value.isprintable()},
        layers=[Layer(name or "(no layer)", "", None, tuple(weights)) for name, weights in groups.items()],
        convert=[f"Part of the bridge folder {path.parent}: inspect that."] if beside.is_file() else [],
        refusals=[] if beside.is_file() else ["convert: weights alone; the network is in the model.onnx beside them"],
        warnings=[f"NaN or infinity in {name}" for name in header.not_finite],
    )


def _begin(entry: Any) -> int:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    return offsets[0] if isinstance(offsets, list) and offsets and isinstance(offsets[0], int) else 0


def _entry(name: str, entry: Any, path: Path, data: int) -> tuple[Weight, int, int]:
    """The weight, and where its bytes begin and end in the `data` bytes after the header."""
    told = entry if isinstance(entry, dict) else {}
    shape, offsets, kind = told.get("shape"), told.get("data_offsets"), _TYPES.get(str(told.get("dtype")))
    if kind is None and isinstance(told.get("dtype"), str):
        raise BridgeError(f"{path}: {name[:60]!r} is of the type {told['dtype'][:20]!r}, which bridge does not know.")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or kind is None:
        raise BridgeError(f"{path}: its header says of {name[:60]!r} what can't be read. The file is damaged.")
    begin, end = offsets
    if end > data or end - begin != math.prod(shape) * kind[1]:
        raise BridgeError(f"{path}: {name[:60]!r} has other bytes than its shape {shape} wants. Truncated or damaged.")
    return Weight(name, tuple(shape), kind[0]), begin, end


def _naturals(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
