"""Constants computed once: standard operators whose inputs are all known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bridge.graph.body import OPSET
from bridge.graph.inner import reads
from bridge.graph.layer import Graph, Node

_RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


def folded(graph: Graph) -> Graph:
    """The graph without the standard operators that depend on constants alone; their values become constants."""
    constants, nodes = dict(graph.constants), []
    outputs = {value.name for value in graph.outputs}
    for node in graph.nodes:
        known = all(name in constants for name in reads(node) if name)
        if node.layer is None and known and node.kind not in _RANDOM and not outputs & set(node.outputs):
            constants |= _computed(node, constants)
        else:
            nodes.append(node)
    used = {name for node in nodes for name in reads(node)}
    return replace(graph, nodes=nodes, constants={n: a for n, a in constants.items() if n in used})


def _computed(node: Node, constants: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    given = {name: constants[name] for name in reads(node) if name}
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(node.kind, node.inputs, node.outputs, **node.attributes)],
            "constant",
            [],
            [onnx.ValueInfoProto(name=name) for name in node.outputs if name],
            [numpy_helper.from_array(array, name) for name, array in given.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    names = [name for name in node.outputs if name]
    return dict(zip(names, map(np.asarray, ReferenceEvaluator(model).run(names, {})), strict=True))
