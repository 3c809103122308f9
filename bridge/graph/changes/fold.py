"""Constants computed once: standard operators whose inputs are all known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bridge.graph.body import OPSET
from bridge.graph.changes.inner import inner_graphs, reads, taken_by
from bridge.graph.layer import Graph

# What draws random numbers, and what gives no tensor
_NEVER = frozenset(
    {
        *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"),
        *("SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SplitToSequence", "SequenceMap"),
        *("Optional", "OptionalGetElement"),
    }
)


def folded(graph: Graph, opset: int = OPSET) -> Graph:
    """The graph without the standard operators that depend on constants alone; their values become constants.

    Those inside of loops and conditions too, and the constants that stand there come out; all names are different.
    """
    constants, nodes = dict(graph.constants), []
    outputs = {value.name for value in graph.outputs}
    for node in graph.nodes:
        if node.layer is None and inner_graphs(node):
            node = replace(node, attributes=_without_constants(node.attributes, constants, opset))
        known = all(name in constants for name in reads(node) if name)
        found = None
        if node.layer is None and known and node.kind not in _NEVER and not outputs & set(node.outputs):
            given = {name: constants[name] for name in reads(node) if name}
            proto = helper.make_node(node.kind, node.inputs, node.outputs, **node.attributes)
            found = _computed(proto, given, opset)
        if found is None:
            nodes.append(node)
        else:
            constants |= found
    used = {name for node in nodes for name in reads(node)} | outputs
    return replace(graph, nodes=nodes, constants={n: a for n, a in constants.items() if n in used})


def _without_constants(attributes: dict[str, Any], constants: dict[str, np.ndarray], opset: int) -> dict[str, Any]:
    return {
        name: _inner_folded(value, constants, opset) if isinstance(value, onnx.GraphProto) else value
        for name, value in attributes.items()
    }


def _inner_folded(inner: onnx.GraphProto, constants: dict[str, np.ndarray], opset: int) -> onnx.GraphProto:
    """The inner graph without what depends on constants alone, which are put to the others."""
    made = onnx.GraphProto()
    made.CopyFrom(inner)
    constants |= {tensor.name: numpy_helper.to_array(tensor) for tensor in inner.initializer}
    del made.initializer[:], made.node[:]
    outputs = {value.name for value in inner.output}
    for node in inner.node:
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        for attribute in plain.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                attribute.g.CopyFrom(_inner_folded(attribute.g, constants, opset))
        taken = [name for name in taken_by(plain) if name]
        found = None
        known = not node.domain and all(name in constants for name in taken)
        if known and node.op_type not in _NEVER and not outputs & {*node.output}:
            found = _computed(plain, {name: constants[name] for name in taken}, opset)
        if found is None:
            made.node.append(plain)
        else:
            constants |= found
    _give(made)
    return made


def _give(graph: onnx.GraphProto) -> None:
    """Puts nodes that hand on what an inner graph gives as it is from outside: ONNX wants its own nodes to give it."""
    own = {value.name for value in graph.input} | {name for node in graph.node for name in node.output}
    for place, value in enumerate(graph.output):
        if value.name not in own:
            given, value.name = value.name, f"{value.name}/{place}/given"
            graph.node.append(helper.make_node("Identity", [given], [value.name], value.name))


def _computed(node: onnx.NodeProto, given: dict[str, np.ndarray], opset: int) -> dict[str, np.ndarray] | None:
    """The outputs of a node; None if it can't be computed, as may be in a branch that is never taken."""
    model = helper.make_model(
        helper.make_graph(
            [node],
            "constant",
            [],
            [onnx.ValueInfoProto(name=name) for name in node.output if name],
            [numpy_helper.from_array(array, name) for name, array in given.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
    )
    names = [name for name in node.output if name]
    try:
        found = ReferenceEvaluator(model).run(names, {})
    except Exception:  # whatever the evaluator fails with: the node stays, and says it when it is run
        return None
    return dict(zip(names, map(np.asarray, found), strict=True))
