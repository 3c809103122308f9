"""Inputs whose numbers are looked up in a table as they are: which numbers it knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import onnx

from bridge.graph.layer import Graph

# What leaves every number of its first input as it is, and adds none
_KEEP = (
    *("Cast", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector", "Squeeze", "Unsqueeze", "Transpose"),
    *("Tile", "Expand"),
)
_TABLES = ("Embedding", "ReversibleEmbedding")
_Step = tuple[str, Sequence[str], Sequence[str]]  # what it is, its inputs, its outputs


def looked_up(graph: Graph) -> dict[str, int]:
    """How many rows the smallest table has in which an input's numbers are looked up, by the input's name."""
    shapes = {path: weight.shape for path, weight in graph.weights.items()}
    steps = [
        (node.kind, node.inputs, node.outputs)
        for node in graph.nodes
        if not node.attributes.get("axis") and not (node.layer and node.layer.config.get("reverse"))
    ]
    return _found({value.name for value in graph.inputs}, steps, shapes)


def looked_up_in(proto: onnx.ModelProto) -> dict[str, int]:
    """The same of an ONNX model, layered or plain."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    inputs = {info.name for info in proto.graph.input} - {*shapes}
    steps = [(node.op_type, node.input, node.output) for node in proto.graph.node if not _is_other(node)]
    return _found(inputs, steps, shapes)


def _is_other(node: onnx.NodeProto) -> bool:
    """Whether it takes columns, not rows, or is an embedding called in reverse, which takes features."""
    given = {a.name: a for a in node.attribute}
    reverse = "config" in given and json.loads(given["config"].s).get("reverse")
    return bool(reverse or ("axis" in given and given["axis"].i))


def _found(names: set[str], steps: Iterable[_Step], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    steps, found = list(steps), dict[str, int]()
    makers = {output: (kind, inputs) for kind, inputs, outputs in steps for output in outputs}
    for kind, inputs, _ in steps:
        if kind in _TABLES:
            value, table = inputs[0], inputs[1]
        elif kind == "Gather":
            table, value = inputs[0], inputs[1]
        else:
            continue
        while value not in names and makers.get(value, ("",))[0] in _KEEP:
            value = makers[value][1][0]
        if value in names and (rows := shapes.get(table, (0,))[0]):
            found[value] = min(rows, found.get(value, rows))
    return found
