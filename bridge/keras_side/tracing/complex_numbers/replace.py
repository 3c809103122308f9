"""The walk over a graph that leaves no complex number in it."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.tracing.complex_numbers import arithmetic, fourier  # noqa: F401 (they register forms)
from bridge.keras_side.tracing.complex_numbers.pairs import FORMS, REAL, Operator, Pair, Unpaired


def without_complex(graph: Any) -> tuple[list[tuple[str, str]], set[str]]:
    """Replaces the graph's operators on complex numbers; none of them, if one can't be.

    Returns the names of those that have no form, each with why, and the names of all that are left.
    """
    complexes = {o for node in graph.get_nodes() for o in node.output if graph.get_dtype(o) in REAL}
    if not complexes:
        return [], set()
    graph.topological_sort(graph.get_nodes())
    nodes = [node for node in graph.get_nodes() if complexes & {*node.input, *node.output}]
    pairs: dict[str, Pair] = {}
    failed, reals = [], {}
    for node in nodes:
        if any(name in complexes and name not in pairs for name in node.input):
            continue  # behind one that is told
        try:
            reals |= _replaced(Operator(graph, node, pairs))
        except Unpaired as reason:
            failed.append((node.name, str(reason)))
    if failed:
        return failed, {node.name for node in nodes}
    ends = [(graph.get_shape(output), graph.get_dtype(output), output, made) for output, made in reals.items()]
    for node in nodes:
        graph.remove_node(node.name)
    for shape, kind, output, made in ends:
        graph.make_node("Identity", [made], outputs=[output], shapes=[shape], dtypes=[kind])
    return [], set()


def _replaced(operator: Operator) -> dict[str, str]:
    """Its outputs that are no complex numbers, and what takes their place. Raises Unpaired."""
    kind = operator.node.type
    if kind not in FORMS:
        raise Unpaired(f"complex numbers are written as pairs of real ones, which {kind} has no form for")
    FORMS[kind](operator)
    return operator.reals
