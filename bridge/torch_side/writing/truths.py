"""What is true or false of sizes: Python decides by it, where torch's compilers could not follow a tensor."""

from __future__ import annotations

from onnx import TensorProto

from bridge.graph import Graph, Node
from bridge.torch_side.writing.sizes_items import Item, Sizes, Term, Writer, changed
from bridge.torch_side.writing.step import Step

COMPARED = {"Equal": "==", "Greater": ">", "GreaterOrEqual": ">=", "Less": "<", "LessOrEqual": "<="}
_WORDS = {"And": "and", "Or": "or", "Not": "not"}


class Truths:
    """Of the values of a graph, gathered node by node."""

    def __init__(self, graph: Graph, known: dict[str, Sizes], computed: dict[str, Sizes]):
        self.constants, self.known, self.computed = graph.constants, known, computed
        self.found: dict[str, Item] = {}
        self._floats: dict[str, Item] = {}  # sizes as floats, which tf2onnx compares

    def note(self, node: Node) -> None:
        if node.kind == "Cast" and node.attributes.get("to") in (TensorProto.FLOAT, TensorProto.DOUBLE):
            if (item := self._item(node.inputs[0])) is not None:
                self._floats[node.outputs[0]] = item
        elif node.kind in _WORDS and all(name in self.found for name in node.inputs):
            self.found[node.outputs[0]] = Term(_WORDS[node.kind], tuple(self.found[name] for name in node.inputs))
        elif node.kind == "Identity" and node.inputs[0] in self.found:
            self.found[node.outputs[0]] = self.found[node.inputs[0]]
        elif node.kind in COMPARED:
            left, right = map(self._item, node.inputs)
            if left is not None and right is not None:
                self.found[node.outputs[0]] = Term(COMPARED[node.kind], (left, right))

    def _item(self, name: str) -> Item | None:
        """A size, or a number, by itself."""
        if name in self._floats:
            return self._floats[name]
        sizes = self.computed.get(name, self.known.get(name))
        if sizes is not None:
            return sizes.items[0] if sizes.counted and len(sizes.items) == 1 else None
        constant = self.constants.get(name)
        if constant is None or constant.size != 1 or constant.dtype.kind != "f":
            return None
        value = float(constant.reshape(()))
        return int(value) if value.is_integer() else None

    def written(self, step: Step) -> Step:
        """A choice whose condition is known so, by that."""
        truth = self.found.get(step.node.inputs[0]) if step.node.kind == "If" else None
        if truth is None or step.part.call is None:
            return step
        writer = Writer(step.node.inputs)
        call = step.part.call.replace(" if {0} else ", f" if {writer.item(truth)} else ")
        return changed(step, writer, call, step.part.functions)
