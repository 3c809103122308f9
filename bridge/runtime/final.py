"""What an output ends in, read off the graph."""

from __future__ import annotations

import json

import onnx

from bridge.graph import Layer
from bridge.graph.bodies.activations import final_word
from bridge.graph.ending import PASSING, is_linear


def final_activation(proto: onnx.ModelProto, output: str) -> str:
    """What an output ends in: "softmax" or "sigmoid", "linear", or "unknown"."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in PASSING:
        node = makers.get(node.input[0])
    if node is None:
        return "unknown"
    held = {tensor.name for tensor in proto.graph.initializer}
    plain = "linear" if is_linear(node.op_type, node.input, held) else "unknown"
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.domain == "keras":
        layer = Layer(node.op_type, "", json.loads(attributes.get("config", b"{}")))
        return final_word(layer, _rank(proto, output)) or plain
    if node.op_type == "Softmax":
        return "softmax" if attributes.get("axis", -1) in (-1, _rank(proto, output) - 1) else "unknown"
    return {"Sigmoid": "sigmoid"}.get(node.op_type, plain)


def _rank(proto: onnx.ModelProto, output: str) -> int:
    return next((len(v.type.tensor_type.shape.dim) for v in proto.graph.output if v.name == output), 0)
