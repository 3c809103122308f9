"""What tf2onnx made of a traced model, as the nodes and values of a layered graph, under the names that people know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper, numpy_helper

from bridge.graph import Graph, Node, Value
from bridge.graph.body import DOMAIN, OPSET
from bridge.graph.changes.inner import (
    attributes_of,
    inner_graphs,
    inner_nodes,
    relabeled,
    renamed,
    taken_by,
    without_invariants,
)
from bridge.graph.changes.inner_layers import place

PLACEHOLDER = "bridge_layer_"


@dataclass
class Call:
    """One call of a layer, met while tracing."""

    node: Node
    inputs: list[Value]  # of its tensors; only shape and dtype count
    outputs: list[Value]  # the first is called as the node is


def placeholder_number(name: str) -> int | None:
    """The number of the call that a TensorFlow operation of this name stands for, if it is a placeholder."""
    found = re.search(rf"{PLACEHOLDER}(\d+)", name)
    return int(found[1]) if found else None


def as_placeholder(context: Any, node: Any, name: str, args: Any) -> Any:
    number = placeholder_number(name)
    if number is None:
        return node  # the user's own Python call: refused below as an operator that ONNX does not have
    node.domain, node.type = DOMAIN, f"{PLACEHOLDER}{number}"
    for attribute in list(node.attr):
        if attribute not in ("domain",):
            del node.attr[attribute]
    node.set_attr("call", number)
    return node


def restore(proto: onnx.ModelProto) -> None:
    """Gives placeholders their domain back, which tf2onnx loses of those in a condition's branches."""
    for node in inner_nodes(proto.graph):
        if node.op_type.startswith(PLACEHOLDER):
            node.domain = DOMAIN


def as_where(context: Any, node: Any, name: str, args: Any) -> None:
    """TensorFlow's choice as ONNX's; tf2onnx multiplies with 0 and 1 instead, and 0 times infinity is NaN."""
    node.type = "Where"


def fill(
    graph: Graph,
    proto: onnx.ModelProto,
    calls: list[Call],
    rename: dict[str, str],
    output_names: list[str],
    short: Callable[[str], str],
) -> None:
    """Turns tf2onnx's nodes into the graph's, under the names that people know.

    short: what people know an operation as, by its name in TensorFlow.
    """
    for node in proto.graph.node:
        if node.domain == DOMAIN:
            call = calls[_number(node)]
            rename |= {name: value.name for name, value in zip(node.output, call.outputs, strict=True)}
    named = {call.node.name for call in calls}
    for node, output in zip(_output_nodes(proto), output_names, strict=True):
        # an output is called what Keras calls it; its layer's own name stays the node's name
        current = rename.get(node, node)
        if current != output:
            rename = {key: f"{value}/inner" if value == output else value for key, value in rename.items()}
            rename[node] = output
    taken = {*rename.values(), *output_names}
    for node in proto.graph.node:
        for name in node.output:
            if name and name not in rename:
                rename[name] = _free_value(short(name), taken)
    constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for name in constants:
        rename.setdefault(name, _free_value(short(name), taken))
    graph.constants = {rename[name]: array for name, array in constants.items()}
    graph.values |= {value.name: value for value in graph.inputs}
    for node in _in_call_order(proto.graph.node):
        inputs = [rename.get(name, name) for name in node.input]
        outputs = [rename[name] if name else "" for name in node.output]
        if node.domain == DOMAIN:
            call = calls[_number(node)]
            call.node.inputs, call.node.outputs = inputs, outputs
            for name, value in zip(call.node.tensors, call.inputs, strict=True):
                graph.values.setdefault(name, Value(name, value.shape, value.dtype))
            for name, value in zip(outputs, call.outputs, strict=True):
                graph.values[name] = Value(name, value.shape, value.dtype)
            graph.nodes.append(call.node)
        else:
            name = _free_value(short(node.name), named)
            found = Node(name, node.op_type, inputs, outputs, attributes=attributes_of(node))
            found.attributes |= {
                name: renamed(
                    inner,
                    rename,
                    lambda name: _free_value(short(name), taken),
                    lambda name: _free_value(short(name), named),
                )
                for name, inner in inner_graphs(found).items()
            }
            graph.nodes.append(found)
    shapes = {info.name: info for info in proto.graph.output}
    for original, name in zip(shapes.values(), output_names, strict=True):
        tensor = original.type.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)
        known = graph.values.get(name)
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        graph.outputs.append(known or Value(name, shape, dtype))
    graph.nodes = without_invariants(graph).nodes
    for node in graph.nodes:
        for name, inner in inner_graphs(node).items():
            node.attributes[name] = _with_layers(graph, inner, calls)


def _with_layers(graph: Graph, inner: onnx.GraphProto, calls: list[Call]) -> onnx.GraphProto:
    """The graph of a loop or a condition with the layers that are called there in the place of placeholders."""
    placed = [node for node in inner_nodes(inner) if node.domain == DOMAIN]
    if not placed:
        return inner
    names = {name: v.name for node in placed for name, v in zip(node.output, calls[_number(node)].outputs, strict=True)}
    made = relabeled(inner, names)
    for proto in [node for node in inner_nodes(made) if node.domain == DOMAIN]:
        call = calls[_number(proto)]
        call.node.inputs, call.node.outputs = [*proto.input], [*proto.output]
        proto.CopyFrom(place(call.node))
        graph.inner[call.node.name] = call.node
        for name, value in [
            *zip(call.node.tensors, call.inputs, strict=True),
            *zip(proto.output, call.outputs, strict=True),
        ]:
            graph.values.setdefault(name, Value(name, value.shape, value.dtype))
    return made


def _in_call_order(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes with the layers in the order in which Keras calls them, each right after what it needs.

    The order counts: moving statistics that are updated twice in a step depend on it.
    """
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.output if name}
    layers = sorted((n for n in nodes if n.domain == DOMAIN), key=_number)
    ordered: dict[int, onnx.NodeProto] = {}
    for last in [*layers, *nodes]:
        waiting = [last]
        while waiting:
            node = waiting[-1]
            needs = [makers[name] for name in taken_by(node) if name in makers and id(makers[name]) not in ordered]
            waiting += needs
            if not needs:
                ordered.setdefault(id(waiting.pop()), node)
    return list(ordered.values())


def _number(node: onnx.NodeProto) -> int:
    return int(node.op_type.removeprefix(PLACEHOLDER))


def _output_nodes(proto: onnx.ModelProto) -> list[str]:
    return [info.name for info in proto.graph.output]


def _free_value(name: str, taken: set[str]) -> str:
    name = re.sub(r"[^\w/.#]", "_", name.removesuffix(":0"))
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def without_form(nodes: Iterable[onnx.NodeProto]) -> list[tuple[str, str]]:
    """The TensorFlow operators that tf2onnx left as they are, those in loops and conditions too: (node, reason)."""
    found, met = [], set()
    for node in nodes:
        for each in (node, *(n for a in node.attribute if a.HasField("g") for n in inner_nodes(a.g))):
            if each.domain == DOMAIN and each.op_type in met:
                found.append((each.name, "a layer's node in what decides whether a loop goes on"))
            elif each.domain != DOMAIN and not _is_standard(each):
                found.append((each.name, f"the TensorFlow operator {each.op_type} has no ONNX form"))
            met.add(each.op_type)
    return found


def _is_standard(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, max_inclusive_version=OPSET)
