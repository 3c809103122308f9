"""ONNX files in and out: checked before anything is allocated, written whole."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import checker, external_data_helper, helper, inliner

from bridge.errors import BridgeError
from bridge.files import existing_file, inside, whole_file

MOST_BYTES = 2**31 - 1  # what one protobuf file can hold


def read_proto(path: str | Path, *, full_check: bool = False) -> onnx.ModelProto:
    """The ONNX model of a file, its external tensors included.

    Raises BridgeError if it is no ONNX model, damaged, or refers to data outside its own folder. Memory stays within
    four times the size of the file and its external data.
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
    outside: dict[Path, int] = {}
    for tensor in external_data_helper._get_all_tensors(proto):
        claimed, data = _check_tensor(tensor, path)
        if data is not None:
            outside[data] = outside.get(data, 0) + claimed
            if outside[data] > data.stat().st_size:
                raise BridgeError(f"{path}: its tensors claim more than {data.name} holds. The file is damaged.")
    try:
        external_data_helper.load_external_data_for_model(proto, str(path.parent))
        checker.check_model(proto, full_check=full_check)
    except (checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, OSError) as error:
        raise BridgeError(f"{path}: is not a valid ONNX model: {_first_line(error)}") from None
    return proto


def _check_tensor(tensor: onnx.TensorProto, path: Path) -> tuple[int, Path | None]:
    """What a tensor claims to hold must be what the file holds, before anything allocates by the claim.

    Returns the bytes that it claims, and the data file that they are in, if they are in one.
    """
    if any(size < 0 for size in tensor.dims):
        raise BridgeError(f"{path}: the tensor {tensor.name!r} has a negative size. The file is damaged.")
    if tensor.data_type == onnx.TensorProto.STRING:
        return 0, None
    try:
        item_bits = 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError):
        raise BridgeError(f"{path}: the tensor {tensor.name!r} has the unknown type {tensor.data_type}.") from None
    claimed = math.prod(tensor.dims) * item_bits // 8
    if external_data_helper.uses_external_data(tensor):
        facts = {entry.key: entry.value for entry in tensor.external_data}
        data = inside(path.parent, facts.get("location", ""), path)
        if not data.is_file():
            raise BridgeError(f"{path}: its data file {data.name} is missing. Keep the two files together.")
        offset, length = (_whole(facts.get(key, "0"), path, tensor) for key in ("offset", "length"))
        if offset + max(length, claimed) > data.stat().st_size:
            raise BridgeError(f"{path}: the tensor {tensor.name!r} reaches beyond the end of {data.name}: truncated?")
        return max(length, claimed), data
    if tensor.HasField("raw_data"):
        packed = helper.tensor_dtype_to_np_dtype(tensor.data_type).name in ("int4", "uint4", "float4_e2m1fn")
        if not packed and len(tensor.raw_data) != claimed:
            raise BridgeError(
                f"{path}: the tensor {tensor.name!r} claims {claimed} bytes and holds {len(tensor.raw_data)}. Damaged?"
            )
    return claimed, None


def _whole(text: str, path: Path, tensor: onnx.TensorProto) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise BridgeError(f"{path}: the tensor {tensor.name!r} has a bad place in its data file: {text[:40]!r}.")
    return int(text)


def write_proto(proto: onnx.ModelProto, path: str | Path, *, force: bool = False) -> None:
    """Checks the model in full and writes it whole."""
    checker.check_model(proto, full_check=True)
    with whole_file(path, force) as part:
        part.write_bytes(proto.SerializeToString(deterministic=True))


def inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model without functions: standard operators only, for runtimes that know no functions."""
    plain = inliner.inline_local_functions(proto)
    kept = [opset for opset in plain.opset_import if opset.domain in ("", "ai.onnx")]
    del plain.opset_import[:]
    plain.opset_import.extend(kept)
    del plain.metadata_props[:]  # it is no longer layered and must not say so
    return plain


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
