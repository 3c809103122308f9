"""What ONNX's checker says of a layered graph before anything is written, without its weights' values."""

from __future__ import annotations

import re
from dataclasses import replace

import onnx
from onnx import checker

from bridge.errors import BridgeError
from bridge.graph.layer import Graph, Value
from bridge.graph.proto import to_proto


def invalid(graph: Graph) -> list[tuple[str, str]]:
    """(node, reason) for what of the operators between layers is not valid ONNX; empty where all is.

    For graphs that another converter has had a part in.
    """
    if all(node.layer is not None for node in graph.nodes):
        return []
    weights = [Value(weight.path, weight.shape, weight.dtype) for weight in graph.weights.values()]
    try:
        proto = to_proto(replace(graph, inputs=[*graph.inputs, *weights], weights={}, arrays={}))
    except BridgeError:
        return []  # a layer's body: that is told elsewhere
    try:
        checker.check_model(proto, full_check=True)
    except (checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        said = " ".join(str(error).split())
        nodes = re.findall(r"node name: ([^)]+)\)", said)
        reason = said.rpartition("Error] ")[2].strip(" ()")[:160]
        telling = [name for name in nodes if "/" in name] or nodes  # whose name has its layer's in it
        if any(node.name in telling[-1:] and node.layer is not None for node in graph.nodes):
            return []  # the user's body of a layer: that is told by what fails to run it
        return [(telling[-1] if telling else "", f"tf2onnx wrote ONNX that is not valid ({reason})")]
    return []
