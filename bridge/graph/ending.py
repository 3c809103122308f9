"""Whether an output is linear in what comes before it: to a cross-entropy such numbers are logits."""

from __future__ import annotations

from collections.abc import Container, Sequence

from bridge.graph.layer import Graph

_LINEAR = ("Gemm", "MatMul", "Conv", "Dense", "EinsumDense")
PASSING = ("Identity", "Cast", "Dropout", "ActivityRegularization")


def is_linear(kind: str, inputs: Sequence[str], held: Container[str]) -> bool:
    """Whether such a node ends in a linear map. held: what the model holds; a sum is one only with a bias of these."""
    return kind in _LINEAR or (kind == "Add" and any(name in held for name in inputs))


def ends_linear(graph: Graph, output: str) -> bool:
    """Whether this output of the graph does."""
    node = graph.maker(output)
    while node is not None and node.kind in PASSING:
        node = graph.maker(node.inputs[0])
    return node is not None and is_linear(node.kind, node.inputs, {*graph.weights, *graph.constants})
