"""Small ONNX models with random weights, made without any framework."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = [helper.make_opsetid("", 18)]


def make(nodes, inputs, outputs, weights=None, opsets=OPSETS, **properties) -> onnx.ModelProto:
    """inputs, outputs: name -> shape with the batch axis, float32."""
    graph = helper.make_graph(
        nodes,
        "sample",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=list(opsets), ir_version=10)
    helper.set_model_props(model, properties)
    return model


def mlp(sizes=(12, 8, 4), final="Softmax", batch="batch", seed=0, **properties) -> onnx.ModelProto:
    """x (batch, sizes[0]) through Gemm and Relu to y (batch, sizes[-1]), which ends in the operator `final` or none."""
    random = np.random.default_rng(seed)
    nodes, weights, value = [], {}, "x"
    last = len(sizes) - 2
    for index, (rows, columns) in enumerate(pairwise(sizes)):
        weights[f"kernel_{index}"] = (2 * random.normal(size=(rows, columns)) / rows**0.5).astype(np.float32)
        weights[f"bias_{index}"] = random.normal(size=columns).astype(np.float32)
        activation = "Relu" if index < last else final
        linear = f"linear_{index}" if activation else "y"
        nodes.append(helper.make_node("Gemm", [value, f"kernel_{index}", f"bias_{index}"], [linear]))
        value = f"hidden_{index}" if index < last else "y"
        if activation:
            nodes.append(helper.make_node(activation, [linear], [value]))
    return make(nodes, {"x": [batch, sizes[0]]}, {"y": [batch, sizes[-1]]}, weights, **properties)


def forward(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """What `mlp` computes, in float64."""
    weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    value = x.astype(np.float64)
    index = 0
    for node in model.graph.node:
        if node.op_type == "Gemm":
            value = value @ weights[f"kernel_{index}"] + weights[f"bias_{index}"]
            index += 1
        elif node.op_type == "Relu":
            value = np.maximum(value, 0)
        elif node.op_type == "Softmax":
            value = np.exp(value - value.max(axis=-1, keepdims=True))
            value /= value.sum(axis=-1, keepdims=True)
        elif node.op_type == "Sigmoid":
            value = 1 / (1 + np.exp(-value))
    return value


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
