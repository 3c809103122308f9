"""A layered model as ONNX, and the functions that its nodes mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bridge.errors import BridgeError
from bridge.graph import own_layers, stored
from bridge.graph.body import DOMAIN, OPSET, Refused, meaning
from bridge.graph.changes import in_training, inner_layers
from bridge.graph.changes.inner import inner_graphs, taken_by
from bridge.graph.layer import Graph, Node
from bridge.graph.proto.facts import FORMAT, written_facts
from bridge.graph.proto.nodes import body_function, written_node
from bridge.graph.proto.values import written_between, written_value

IR_VERSION = 10  # the first whose functions have overloads


def to_proto(graph: Graph, most_inside: int | None = None) -> onnx.ModelProto:
    """The layered ONNX model. Raises BridgeError if a layer has no body.

    most_inside: bytes of weights that it may hold, by default what a protobuf can; of more, only their places are in
    it, and write_proto wants the numbers.
    """
    writer = _Writer(graph)
    nodes, beside = writer.nodes()
    apart = {name for node in beside for name in node.output} | {*inner_layers.made_inside([*nodes, *beside])}
    told = apart | {value.name for value in [*graph.inputs, *graph.outputs]}
    known = {v.name: written_between(v) for v in graph.values.values() if v.shape is not None}
    aside = _aside(graph, nodes) if beside else {}
    onnx_graph = helper.make_graph(
        nodes,
        graph.name,
        [written_value(value) for value in graph.inputs],
        [written_value(value) for value in graph.outputs],
        [*_initializers(graph, stored.MOST_INSIDE if most_inside is None else most_inside, aside)],
        value_info=[info for name, info in known.items() if name not in told],
    )
    domains = [DOMAIN, *([own_layers.DOMAIN] if own_layers.DOMAIN in {f.domain for f in writer.functions} else [])]
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in domains)]
    proto = helper.make_model(onnx_graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="bridge")
    proto.functions.extend(writer.functions)
    if beside:
        proto.functions.append(in_training.function_of(beside, _trained(graph), aside, known.values()))
    helper.set_model_props(proto, _metadata(graph))
    return proto


class _Writer:
    """Writes the nodes of a graph, and once each of the functions that they mean."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self._functions: dict[tuple[str, bytes], onnx.FunctionProto] = {}

    @property
    def functions(self) -> list[onnx.FunctionProto]:
        return list(self._functions.values())

    def nodes(self) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
        """The nodes that act in inference, and those for training alone. Raises BridgeError with all refusals."""
        graph = self.graph
        acting = {id(node) for node in in_training.needed(graph.nodes, [value.name for value in graph.outputs])}
        alone = {id(node) for node in in_training.needed(graph.nodes, _trained(graph), trained=True)} - acting
        nodes: list[onnx.NodeProto] = []
        beside: list[onnx.NodeProto] = []
        refused: list[str] = []
        for node in graph.nodes:
            listed = beside if id(node) in alone else nodes
            try:
                listed.append(self._node(node))
            except Refused as reason:
                refused.append(f"{node}: {reason}")
        if refused:
            raise BridgeError(f"{graph.name}: can't be converted yet: {'; '.join(dict.fromkeys(refused))}.")
        return nodes, beside

    def _node(self, node: Node) -> onnx.NodeProto:
        if node.layer is not None:
            return self._layer(node)
        attributes = dict(node.attributes)
        for name, inner in inner_graphs(node).items():
            attributes[name] = inner_layers.written(self.graph, inner, self._layer, written_between)
        return helper.make_node(node.kind, node.inputs, node.outputs, node.name, **attributes)

    def _layer(self, node: Node) -> onnx.NodeProto:
        function = self._function(node)
        kind = f"{function.domain}.{function.name}"
        key = (kind, meaning(function))
        if key not in self._functions:
            count = sum(other == kind for other, _ in self._functions)
            function.overload = str(count + 1) if count else ""
            self._functions[key] = function
        return written_node(node, self._functions[key].overload)

    def _function(self, node: Node) -> onnx.FunctionProto:
        """The meaning of a layer's node: bridge's own, or the one that the user's rule gave it. Raises Refused."""
        if not own_layers.is_own(node.layer) or node.is_split:
            return body_function(self.graph, node)
        function = onnx.FunctionProto()
        function.CopyFrom(self.graph.functions[node.name])
        function.ClearField("overload")
        return function


def _trained(graph: Graph) -> list[str]:
    return [name for node in graph.nodes for name in in_training.in_training(node)]


def _aside(graph: Graph, nodes: list[onnx.NodeProto]) -> dict[str, np.ndarray]:
    """The constants that none of these nodes takes."""
    shown = {name for node in nodes for name in taken_by(node)} | {value.name for value in graph.outputs}
    return {name: array for name, array in graph.constants.items() if name not in shown}


def _initializers(graph: Graph, most_inside: int, aside: Iterable[str]) -> Iterator[onnx.TensorProto]:
    """All weights and constants but those that are `aside`."""
    inside, end = graph.weight_bytes <= most_inside, 0
    for path, weight in graph.weights.items():
        if inside or weight.nbytes < stored.SMALL:
            yield numpy_helper.from_array(graph.arrays[path], path)
        else:
            offset = stored.next_offset(end, weight.nbytes)
            end = offset + weight.nbytes
            yield stored.outside_tensor(path, weight.dtype, weight.shape, offset)
    for name, array in graph.constants.items():
        if name not in aside:
            yield numpy_helper.from_array(array, name)


def _metadata(graph: Graph) -> dict[str, str]:
    metadata = {"bridge.format": FORMAT, "bridge.facts": written_facts(graph)}
    if graph.keras_config is not None:
        metadata["bridge.keras_config"] = graph.keras_config
    if graph.saved_model is not None:
        metadata["bridge.saved_model"] = graph.saved_model
    if graph.checkpoint is not None:
        metadata["bridge.checkpoint"] = graph.checkpoint
    return metadata
