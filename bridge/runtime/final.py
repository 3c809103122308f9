"""What an output ends in, read off the graph."""

from __future__ import annotations

import json
from typing import Any

import onnx

LINEAR = ("Gemm", "MatMul", "Add", "Conv", "Dense", "EinsumDense")
PASSING = ("Identity", "Cast", "Dropout", "ActivityRegularization")


def final_activation(proto: onnx.ModelProto, output: str) -> str:
    """What an output ends in: "softmax" or "sigmoid", "linear", or "unknown"."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in PASSING:
        node = makers.get(node.input[0])
    if node is None:
        return "unknown"
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.domain == "keras":
        return _of_layer(node.op_type, json.loads(attributes.get("config", b"{}")))
    if node.op_type == "Softmax":
        return "softmax" if attributes.get("axis", -1) in (-1, _rank(proto, output) - 1) else "unknown"
    return {"Sigmoid": "sigmoid"}.get(node.op_type, "linear" if node.op_type in LINEAR else "unknown")


def _of_layer(kind: str, config: dict[str, Any]) -> str:
    if kind == "Softmax":
        return "softmax" if config.get("axis", -1) in (-1, [-1]) else "unknown"
    activation = config.get("activation")
    if isinstance(activation, dict):
        activation = activation.get("config")
    if activation in ("softmax", "sigmoid", "linear"):
        return str(activation)
    return "linear" if activation is None and kind in LINEAR else "unknown"


def _rank(proto: onnx.ModelProto, output: str) -> int:
    return next((len(v.type.tensor_type.shape.dim) for v in proto.graph.output if v.name == output), 0)
