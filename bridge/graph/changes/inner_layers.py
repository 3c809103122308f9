"""Layers that are called within loops and conditions: nodes in the graphs of these.

In a `Graph` such a node is in its inner graph by its name, its inputs and its outputs, and `Graph.inner` has the rest
of it by the name. In a file it says all that the node of a layer says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeGuard

import onnx

from bridge.graph.body import DOMAIN, OWN_DOMAIN
from bridge.graph.changes.inner import attributes_of, inner_graphs, inner_nodes
from bridge.graph.layer import Graph, Node, Value

DOMAINS = (DOMAIN, OWN_DOMAIN)


def layer_nodes(graph: Graph) -> list[Node]:
    """The nodes of all layers, those in loops and conditions with the values that they take and give there."""
    listed = []
    for node in graph.nodes:
        if node.layer is not None:
            listed.append(node)
        for proto in (proto for inner in inner_graphs(node).values() for proto in inner_nodes(inner)):
            if proto.domain in DOMAINS:
                listed.append(node_of(graph, proto))
    return listed


def node_of(graph: Graph, proto: onnx.NodeProto) -> Node:
    """What a node of an inner graph is: a layer's, or a standard operator."""
    if proto.domain not in DOMAINS:
        kind = proto.op_type
        return Node(proto.name, kind, [*proto.input], [*proto.output], attributes=attributes_of(proto))
    return replace(graph.inner[proto.name], inputs=[*proto.input], outputs=[*proto.output])


def place(node: Node) -> onnx.NodeProto:
    """What stands for a layer's node in an inner graph."""
    return onnx.helper.make_node(node.kind, node.inputs, node.outputs, node.name, domain=DOMAIN)


def written(
    graph: Graph,
    inner: onnx.GraphProto,
    write: Callable[[Node], onnx.NodeProto],
    info: Callable[[Value], onnx.ValueInfoProto],
) -> onnx.GraphProto:
    """The inner graph as a file has it: its layers' nodes as `write` says, with what is known of the tensors there.

    info: how a tensor is written.
    """

    def finish(made: onnx.GraphProto) -> None:
        outputs = {value.name for value in made.output}
        given = [name for node in made.node for name in node.output if name not in outputs]
        known = {
            value.name: info(value) for value in map(graph.values.get, [*_named(made), *given]) if _has_shape(value)
        }
        for value in [*made.input, *made.output]:
            if value.name in known:
                value.CopyFrom(known[value.name])
        made.value_info.extend(known[name] for name in given if name in known)

    return _with_nodes(inner, lambda proto: write(node_of(graph, proto)), finish) if _has_layers(inner) else inner


def _named(graph: onnx.GraphProto) -> list[str]:
    return [value.name for value in [*graph.input, *graph.output]]


def _has_shape(value: Value | None) -> TypeGuard[Value]:
    return value is not None and value.shape is not None


def read(
    inner: onnx.GraphProto, node: Callable[[onnx.NodeProto], Node], found: list[tuple[Node, onnx.NodeProto]]
) -> onnx.GraphProto:
    """The inner graph of a file as a `Graph` has it; its layers' nodes, as `node` reads them, are put into `found`."""

    def short(proto: onnx.NodeProto) -> onnx.NodeProto:
        found.append((node(proto), proto))
        return place(found[-1][0])

    return _with_nodes(inner, short) if _has_layers(inner) else inner


def values(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.ValueInfoProto]:
    """What a file says of the tensors in the inner graphs of these nodes, as far as layers are called there."""
    for graph in _graphs(nodes):
        if _has_layers(graph):
            infos = [*graph.input, *graph.value_info, *graph.output]
            yield from (info for info in infos if info.type.HasField("tensor_type"))
            yield from values(graph.node)


def made_inside(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """The values that come about in the inner graphs of these nodes."""
    for graph in _graphs(nodes):
        yield from (value.name for value in graph.input)
        yield from (name for node in graph.node for name in node.output)
        yield from made_inside(graph.node)


def _graphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    return (a.g for node in nodes for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)


def _has_layers(graph: onnx.GraphProto) -> bool:
    return any(node.domain in DOMAINS for node in inner_nodes(graph))


def _with_nodes(
    inner: onnx.GraphProto,
    changed: Callable[[onnx.NodeProto], onnx.NodeProto],
    finish: Callable[[onnx.GraphProto], None] = lambda made: None,
) -> onnx.GraphProto:
    """The inner graph, and those within it, with other nodes in the place of the layers'. finish: what is done last."""
    made = onnx.GraphProto()
    made.CopyFrom(inner)
    del made.node[:]
    for node in inner.node:
        made.node.append(changed(node) if node.domain in DOMAINS else node)
        for attribute in made.node[-1].attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                attribute.g.CopyFrom(_with_nodes(attribute.g, changed, finish))
    finish(made)
    return made
