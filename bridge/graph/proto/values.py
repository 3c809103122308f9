"""What an ONNX file says of a tensor between nodes, written and read."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from bridge.graph.layer import Shape, Value


def written_value(value: Value, first: str | None = "batch") -> onnx.ValueInfoProto:
    """first: what the first axis is called where its length is not known."""
    shape: list[Any] | None = None
    if value.shape is not None:
        shape = [first if axis == 0 and size is None else size for axis, size in enumerate(value.shape)]
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)), shape)


def written_between(value: Value) -> onnx.ValueInfoProto:
    """Of a tensor whose first axis need not be the batch: TimeDistributed and the user's code may merge others in."""
    return written_value(value, first=None)


def read_value(info: onnx.ValueInfoProto) -> Value:
    tensor = info.type.tensor_type
    shape: Shape | None = None
    if tensor.HasField("shape"):
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "float32"
    return Value(info.name, shape, dtype)
