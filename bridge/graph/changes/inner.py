"""Graphs within a node: the body of a Loop, a Scan or a SequenceMap, the branches of an If.

In a layered model all values have different names, inside and outside, and constants stand outside alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import onnx
from onnx import helper

from bridge.graph.layer import Graph, Node


def inner_graphs(node: Node) -> dict[str, onnx.GraphProto]:
    """By the attribute's name: body, then_branch, else_branch."""
    return {name: value for name, value in node.attributes.items() if isinstance(value, onnx.GraphProto)}


def attributes_of(proto: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in proto.attribute}


def captured(graph: onnx.GraphProto) -> list[str]:
    """What an inner graph takes from outside, each name once."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    taken: dict[str, None] = {}
    for node in graph.node:
        taken |= dict.fromkeys(name for name in taken_by(node) if name and name not in own)
        own |= {*node.output}
    return [*(taken | dict.fromkeys(value.name for value in graph.output if value.name not in own))]


def taken_by(node: onnx.NodeProto) -> list[str]:
    """The values that a node takes, those that its inner graphs take from outside too."""
    return [*node.input, *(name for a in node.attribute for g in graphs_of(a) for name in captured(g))]


def reads(node: Node) -> list[str]:
    """The same of a node of the layered graph."""
    return [*node.inputs, *(name for inner in inner_graphs(node).values() for name in captured(inner))]


def inner_nodes(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    """All nodes of an inner graph, those of the graphs within it too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in graphs_of(attribute):
                yield from inner_nodes(inner)


def graphs_of(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    """The graphs that an attribute is."""
    return [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)


def renamed(
    graph: onnx.GraphProto, names: dict[str, str], free: Callable[[str], str], short: Callable[[str], str] = str
) -> onnx.GraphProto:
    """The inner graph with what it takes from outside under these names, and with names of its own that are free.

    short: what a node is called.
    """
    names = dict(names)
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    for value in [*made.input, *made.initializer]:
        names[value.name] = value.name = free(value.name)
    for node in made.node:
        node.name = short(node.name)
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                attribute.g.CopyFrom(renamed(attribute.g, names, free, short))
        for name in node.output:
            if name:
                names[name] = free(name)
        node.output[:] = [names[name] if name else "" for name in node.output]
    for value in made.output:
        value.name = names.get(value.name, value.name)
    del made.value_info[:]  # what tf2onnx knows of shapes is not always so
    return made


def without_invariants(graph: Graph) -> Graph:
    """The graph with what its loops hand on as it is, step by step, taken from outside in place of that."""
    nodes, names = [], {value.name for value in graph.outputs}
    same: dict[str, str] = {}
    for node in graph.nodes:
        inner = node.attributes.get("body") if node.kind == "Loop" and node.layer is None else None
        node = _with_inputs(node, same)
        if isinstance(inner, onnx.GraphProto):
            node, handed = _without_invariants(node, names)
            same |= handed
        for name, graph_inside in inner_graphs(node).items():
            node.attributes[name] = _within(graph_inside)
        nodes.append(node)
    return replace(graph, nodes=nodes)


def _with_inputs(node: Node, same: dict[str, str]) -> Node:
    if not same or not any(name in same for name in reads(node)):
        return node
    attributes = {
        name: _replaced(value, same) if isinstance(value, onnx.GraphProto) else value
        for name, value in node.attributes.items()
    }
    node.inputs, node.attributes = [same.get(name, name) for name in node.inputs], attributes
    return node  # the same object: whoever traced it knows it


def _within(graph: onnx.GraphProto) -> onnx.GraphProto:
    """The same of the loops in an inner graph, and in those within it."""
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    del made.node[:]
    same: dict[str, str] = {}
    for proto in graph.node:
        node = Node(proto.name, proto.op_type, [*proto.input], [*proto.output], attributes=attributes_of(proto))
        if not inner_graphs(node):
            made.node.append(proto)
            made.node[-1].input[:] = [same.get(name, name) for name in proto.input]
            continue
        node = _with_inputs(node, same)
        if node.kind == "Loop":
            node, handed = _without_invariants(node, {value.name for value in graph.output})
            same |= handed
        attributes = {k: _within(v) if isinstance(v, onnx.GraphProto) else v for k, v in node.attributes.items()}
        made.node.append(helper.make_node(node.kind, node.inputs, node.outputs, node.name, **attributes))
    return made


def _without_invariants(node: Node, kept: set[str]) -> tuple[Node, dict[str, str]]:
    body: onnx.GraphProto = node.attributes["body"]
    states = len(node.inputs) - 2
    idle = [
        i for i in range(states) if body.output[1 + i].name == body.input[2 + i].name and node.outputs[i] not in kept
    ]
    if not idle or len(idle) == len(node.outputs):
        return node, {}
    inside = {body.input[2 + i].name: node.inputs[2 + i] for i in idle}
    made = _replaced(body, inside)
    for i in reversed(idle):
        del made.input[2 + i], made.output[1 + i]
    inputs = [name for i, name in enumerate(node.inputs) if i - 2 not in idle]
    outputs = [name for i, name in enumerate(node.outputs) if i not in idle]
    handed = {node.outputs[i]: node.inputs[2 + i] for i in idle}
    return replace(node, inputs=inputs, outputs=outputs, attributes={**node.attributes, "body": made}), handed


def relabeled(graph: onnx.GraphProto, names: dict[str, str]) -> onnx.GraphProto:
    """The inner graph with other names for what its nodes give; for graphs in which all names are different."""
    made = _replaced(graph, names)
    for node in inner_nodes(made):
        node.output[:] = [names.get(name, name) for name in node.output]
    return made


def _replaced(graph: onnx.GraphProto, names: dict[str, str]) -> onnx.GraphProto:
    """The inner graph with other names for what it takes; for graphs in which all names are different."""
    made = onnx.GraphProto()
    made.CopyFrom(graph)
    for node in inner_nodes(made):
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            for inner in graphs_of(attribute):
                for value in inner.output:
                    value.name = names.get(value.name, value.name)
    for value in made.output:
        value.name = names.get(value.name, value.name)
    return made
