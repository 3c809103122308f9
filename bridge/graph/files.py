"""ONNX files in and out: checked before anything is allocated, written whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import checker, external_data_helper

from bridge.errors import BridgeError
from bridge.files import data_file, existing_file, inside, refuse_without_room, whole_file, whole_pair
from bridge.graph import stored

MOST_BYTES = 2**31 - 1  # what one protobuf file can hold


def read_proto(path: str | Path, *, full_check: bool = False) -> onnx.ModelProto:
    """The ONNX model of a file. Weights that it keeps in a file beside it stay there: see bridge.graph.stored.

    Raises BridgeError if it is no ONNX model, damaged, or refers to data outside its own folder. Memory stays within
    four times the size of the file.
    """
    path = existing_file(path, "the model")
    if path.stat().st_size > MOST_BYTES:
        raise BridgeError(f"{path}: is larger than 2 GB, which no ONNX protobuf can be. Is it really an .onnx file?")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except (DecodeError, RecursionError):
        raise BridgeError(f"{path}: is not an ONNX model, or it is truncated.") from None
    if not proto.graph.node and not proto.graph.output:  # an empty file is a valid protobuf
        raise BridgeError(f"{path}: is not an ONNX model: it holds no graph.")
    kept_outside = _check_tensors(proto, path)
    try:
        _load_inner(proto, path)
        # by its path the checker finds the data, and holds the weights once less
        checker.check_model(str(path) if kept_outside else proto, full_check=full_check)
    except (checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, OSError) as error:
        raise BridgeError(f"{path}: is not a valid ONNX model: {_first_line(error)}") from None
    return proto


def _check_tensors(proto: onnx.ModelProto, path: Path) -> bool:
    """Holds what each tensor claims against what is there. Returns whether any is in a file beside this one."""
    claims: dict[Path, list[tuple[int, int, str]]] = {}
    for tensor in external_data_helper._get_all_tensors(proto):
        if (claim := _check_tensor(tensor, path)) is not None:
            data, begin, end = claim
            claims.setdefault(data, []).append((begin, end, tensor.name))
    for sparse in proto.graph.sparse_initializer:
        if any(external_data_helper.uses_external_data(tensor) for tensor in (sparse.values, sparse.indices)):
            raise BridgeError(
                f"{path}: keeps the sparse tensor {sparse.values.name!r} in another file. None is read there."
            )
    for data, listed in claims.items():
        for (_, end, first), (begin, _, second) in pairwise(sorted(listed)):
            if begin < end:
                raise BridgeError(f"{path}: its tensors {first!r} and {second!r} overlap in {data.name}. Damaged?")
    return bool(claims)


def _load_inner(proto: onnx.ModelProto, path: Path) -> None:
    """Reads tensors outside that are no weights of the main graph: of attributes, loops and conditions."""
    weights = list(proto.graph.initializer)  # held, so that their ids stay theirs
    own = {id(tensor) for tensor in weights}
    inner = [
        tensor
        for tensor in external_data_helper._get_all_tensors(proto)
        if id(tensor) not in own and external_data_helper.uses_external_data(tensor)
    ]
    if sum(map(stored.tensor_bytes, inner)) > MOST_BYTES:
        raise BridgeError(f"{path}: keeps over 2 GB in another file for parts of its nodes, which is not supported.")
    for tensor in inner:
        external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
        tensor.ClearField("data_location")
        tensor.ClearField("external_data")


def _check_tensor(tensor: onnx.TensorProto, path: Path) -> tuple[Path, int, int] | None:
    """What a tensor claims to hold must be what the file holds, before anything allocates by the claim.

    Returns the data file that its numbers are in, and where there, if they are in one.
    """
    if any(size < 0 for size in tensor.dims):
        raise BridgeError(f"{path}: the tensor {tensor.name!r} has a negative size. The file is damaged.")
    if tensor.data_type == onnx.TensorProto.STRING:
        if external_data_helper.uses_external_data(tensor):
            raise BridgeError(f"{path}: keeps the text {tensor.name!r} in another file. None is read from there.")
        return None
    try:
        claimed = stored.tensor_bytes(tensor)
    except (KeyError, TypeError):
        raise BridgeError(f"{path}: the tensor {tensor.name!r} has the unknown type {tensor.data_type}.") from None
    if external_data_helper.uses_external_data(tensor):
        return _check_outside(tensor, path, claimed)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != claimed:
        raise BridgeError(
            f"{path}: the tensor {tensor.name!r} claims {claimed} bytes and holds {len(tensor.raw_data)}. Damaged?"
        )
    return None


def _check_outside(tensor: onnx.TensorProto, path: Path, claimed: int) -> tuple[Path, int, int]:
    facts = {entry.key: entry.value for entry in tensor.external_data}
    data = inside(path.parent, facts.get("location", ""), path)
    if data.is_symlink():
        raise BridgeError(f"{path}: its data file {data.name} is a link. None is followed.")
    if not data.is_file():
        raise BridgeError(f"{path}: its data file {data.name} is missing. Keep the two files together.")
    offset = _whole(facts.get("offset", "0"), path, tensor)
    length = _whole(facts.get("length", str(claimed)), path, tensor)
    if length != claimed:
        raise BridgeError(
            f"{path}: the tensor {tensor.name!r} claims {claimed} bytes by its sizes, {length} in {data.name}. Damaged?"
        )
    if offset + claimed > data.stat().st_size:
        raise BridgeError(f"{path}: the tensor {tensor.name!r} reaches beyond the end of {data.name}: truncated?")
    return data, offset, offset + claimed


def _whole(text: str, path: Path, tensor: onnx.TensorProto) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise BridgeError(f"{path}: the tensor {tensor.name!r} has a bad place in its data file: {text[:40]!r}.")
    return int(text)


def write_proto(
    proto: onnx.ModelProto,
    path: str | Path,
    *,
    force: bool = False,
    arrays: Mapping[str, np.ndarray] | None = None,
    written: Path | None = None,
) -> None:
    """Checks the model in full and writes it whole; weights that are not inside go to `path`.data beside it.

    arrays: where these are read from, one after the other. written: a file that holds them already, each in its place,
    and that becomes the data file.
    """
    path = Path(path)
    if stored.outside(proto):
        _write_pair(proto, path, force, arrays or {}, written)
        return
    checker.check_model(proto, full_check=True)
    left_over = force and _owns_data(path)
    with whole_file(path, force) as part:
        part.write_bytes(proto.SerializeToString(deterministic=True))
    if left_over:
        data_file(path).unlink()


def _write_pair(
    proto: onnx.ModelProto, path: Path, force: bool, arrays: Mapping[str, np.ndarray], written: Path | None
) -> None:
    with whole_pair(path, force) as folder:
        data = folder / data_file(path).name
        named = onnx.ModelProto()
        named.CopyFrom(proto)
        for tensor in stored.outside(named):
            next(entry for entry in tensor.external_data if entry.key == "location").value = data.name
        if written is None:
            write_data(stored.outside(proto), arrays, data)
        else:
            os.rename(written, data)
        (folder / path.name).write_bytes(named.SerializeToString(deterministic=True))
        checker.check_model(str(folder / path.name), full_check=True)


def write_data(tensors: list[onnx.TensorProto], arrays: Mapping[str, np.ndarray], file: Path) -> None:
    """Writes the numbers of tensors to where each says that they are. Raises BridgeError if the disk is too full."""
    places = {tensor.name: stored.place(tensor)[1:] for tensor in tensors}
    refuse_without_room(file.parent, max(offset + length for offset, length in places.values()))
    with file.open("wb") as data:
        for name, (offset, length) in places.items():
            data.seek(offset)
            for piece in stored.pieces(arrays[name]):
                data.write(_bytes(piece))
            assert data.tell() == offset + length, name


def _bytes(piece: np.ndarray) -> Any:
    """The numbers of a contiguous array as ONNX stores them: the lowest byte first."""
    return piece.astype(piece.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8)


def _owns_data(path: Path) -> bool:
    """Whether the data file beside `path` is the one of the model that is there now."""
    if not data_file(path).is_file() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return False
    old = onnx.ModelProto()
    try:
        old.ParseFromString(path.read_bytes())
    except (DecodeError, RecursionError):
        return False
    return any(stored.place(tensor)[0] == data_file(path).name for tensor in stored.outside(old))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
