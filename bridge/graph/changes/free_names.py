"""Names for new values of an ONNX graph."""

from __future__ import annotations

import onnx


class FreeNames:
    """Gives names that no value of the graph has, each once."""

    def __init__(self, graph: onnx.GraphProto):
        self._taken = {name for node in graph.node for name in (*node.input, *node.output)}

    def __call__(self, name: str) -> str:
        """The name itself, or, if it is taken, one that begins with it."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
