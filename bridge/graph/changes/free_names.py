"""Names for new values of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from bridge.graph.changes.inner import graphs_of


class FreeNames:
    """Gives names that no value of the graph has, nor of a graph within it, each once."""

    def __init__(self, graph: onnx.GraphProto):
        self._taken = {*_names(graph)}

    def __call__(self, name: str) -> str:
        """The name itself, or, if it is taken, one that begins with it."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in [*graph.input, *graph.initializer])
    for node in graph.node:
        yield from (*node.input, *node.output)
        for attribute in node.attribute:
            for inner in graphs_of(attribute):
                yield from _names(inner)
