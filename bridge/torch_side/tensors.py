"""Tensors in and out of .safetensors files, one after the other: no second copy of them all is ever in memory."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bridge.errors import BridgeError
from bridge.files import existing_file, refuse_without_room

_NAMES = {
    **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
    **{torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"},
    **{torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8", torch.bool: "BOOL"},
}
CHUNK = 1 << 24  # bytes


@dataclass(frozen=True)
class InFile:
    """A tensor of a safetensors file, read when it is asked for."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    def numel(self) -> int:
        return math.prod(self.shape)

    def element_size(self) -> int:
        return self.dtype.itemsize

    def read(self) -> Tensor:
        """In memory of its own file; opened anew, because what has been looked at stays there while it is open."""
        with safe_open(self.file, framework="pt") as opened:
            tensor: Tensor = opened.get_tensor(self.name)
            return tensor


def in_memory(tensor: Tensor | InFile) -> Tensor:
    return tensor.read() if isinstance(tensor, InFile) else tensor


def write(state: Mapping[str, Tensor | InFile], file: Path, metadata: Mapping[str, str]) -> str:
    """Writes tensors as safetensors; returns the file's SHA-256. Raises BridgeError if the disk can't hold them."""
    # the format's own writer puts the widest type first too, so that every tensor is aligned
    listed = sorted(state.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header, end = {"__metadata__": dict(metadata)}, 0
    for name, tensor in listed:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    refuse_without_room(file.parent, end + len(text))
    digest = hashlib.sha256()
    with file.open("wb") as opened:
        for piece in (struct.pack("<Q", len(text)), text):
            opened.write(piece)
            digest.update(piece)
        for _, tensor in listed:
            data = memoryview(in_memory(tensor).detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
            for start in range(0, len(data), CHUNK):
                opened.write(data[start : start + CHUNK])
                digest.update(data[start : start + CHUNK])
            del data, tensor
    return digest.hexdigest()


class Tensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for.

    Raises BridgeError if the file is none, or damaged.
    """

    def __init__(self, file: Path):
        self.file = existing_file(file, "the weights")
        try:
            with safe_open(self.file, framework="pt") as opened:
                self._names = list(opened.keys())
        except SafetensorError as error:
            raise self._damaged(error) from None

    def __getitem__(self, name: str) -> Tensor:
        # opened anew, because what has been looked at stays in memory while the file is open
        if name not in self._names:
            raise KeyError(name)
        try:
            with safe_open(self.file, framework="pt") as opened:
                tensor: Tensor = opened.get_tensor(name)
                return tensor
        except SafetensorError as error:
            raise self._damaged(error) from None

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def check(self, wanted: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        """Raises BridgeError unless the file holds these names alone, each with this shape and this type."""
        found = set(self._names)
        if found != set(wanted):
            lacks, extra = sorted(set(wanted) - found)[:5], sorted(found - set(wanted))[:5]
            raise BridgeError(
                f"{self.file}: is for another model: lacks {lacks or 'none'}, has besides {extra or 'none'}."
            )
        with safe_open(self.file, framework="pt") as opened:
            for key, (shape, dtype) in wanted.items():
                tensor = opened.get_tensor(key)
                if tuple(tensor.shape) != shape:
                    raise BridgeError(f"{self.file}: {key} is {tuple(tensor.shape)}, the model wants {shape}.")
                if tensor.dtype != getattr(torch, dtype):
                    raise BridgeError(f"{self.file}: {key} is of type {tensor.dtype}, the model wants torch.{dtype}.")

    def _damaged(self, error: SafetensorError) -> BridgeError:
        return BridgeError(f"{self.file}: is not a safetensors file, or it is damaged: {str(error)[:200]}")
