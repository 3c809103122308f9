"""What stands around a value of an ONNX graph: whether a Transpose makes it, or takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from bridge.graph.changes.inner import taken_by

Readers = Mapping[str, Sequence[onnx.NodeProto | None]]
Makers = Mapping[str, onnx.NodeProto]

# What computes each number by itself, so that a Transpose before it may as well stand behind it
_ALIKE = frozenset({"Relu", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Clip", "Add", "Mul"})


def makers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """By the name of each value, the node that makes it."""
    return {name: node for node in graph.node for name in node.output}


def readers_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto | None]]:
    """By the name of each value, the nodes that take it, once for each time; None stands for the model's outputs."""
    found: dict[str, list[onnx.NodeProto | None]] = {value.name: [None] for value in graph.output}
    for node in graph.node:
        for name in taken_by(node):
            found.setdefault(name, []).append(node)
    return found


def permutation(node: onnx.NodeProto | None) -> list[int]:
    """That of a Transpose that names one; else []."""
    if node is None or node.op_type != "Transpose":
        return []
    return next((list(a.ints) for a in node.attribute if a.name == "perm"), [])


def made_turned(name: str, makers: Makers) -> list[int]:
    """The permutation of the Transpose out of which the value comes; [] if there is none."""
    node = makers.get(name)
    while node is not None and node.op_type in _ALIKE:
        node = makers.get(node.input[0])
    return permutation(node)


def taken_turned(name: str, readers: Readers) -> bool:
    """Whether a Transpose takes the value, directly or behind what computes each number by itself."""
    while len(found := readers.get(name, [])) == 1 and found[0] is not None and found[0].op_type in _ALIKE:
        name = found[0].output[0]
    return any(permutation(node) for node in found)
