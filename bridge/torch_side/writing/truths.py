"""What is true or false of sizes: Python decides by it, where torch's compilers could not follow a tensor."""

from __future__ import annotations

from onnx import TensorProto

from bridge.graph import Graph, Node
from bridge.torch_side.writing.sizes_items import Item, Sizes, Term, Writer, changed, sources
from bridge.torch_side.writing.step import Step

COMPARED = {"Equal": "==", "Greater": ">", "GreaterOrEqual": ">=", "Less": "<", "LessOrEqual": "<="}
_FLOATS = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}
_WORDS = {"And": "and", "Or": "or", "Not": "not"}


class Truths:
    """Of the values of a graph, gathered node by node."""

    def __init__(self, graph: Graph, known: dict[str, Sizes], computed: dict[str, Sizes]):
        self.graph, self.known, self.computed = graph, known, computed
        self.found: dict[str, Item] = {}
        self._floats: dict[str, tuple[Item, str]] = {}  # sizes as floats of a type

    def note(self, node: Node) -> None:
        if node.kind == "Cast" and node.attributes.get("to") in _FLOATS:
            if (item := self._item(node.inputs[0])) is not None:
                self._floats[node.outputs[0]] = (item, _FLOATS[node.attributes["to"]])
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
            return self._floats[name][0]
        sizes = self.computed.get(name, self.known.get(name))
        if sizes is not None:
            return sizes.items[0] if sizes.counted and len(sizes.items) == 1 else None
        constant = self.graph.constants.get(name)
        if constant is None or constant.size != 1 or constant.dtype.kind != "f":
            return None
        value = float(constant.reshape(()))
        return int(value) if value.is_integer() else None

    def written(self, step: Step) -> Step:
        """A choice whose condition is known so, by that; a range of floats, which are sizes and other whole numbers."""
        node, call = step.node, step.part.call
        if node.kind == "Range" and (types := [self._floats[n][1] for n in node.inputs if n in self._floats]):
            return self._ranged(step, types[0])
        truth = self.found.get(node.inputs[0]) if node.kind == "If" else None
        if truth is None or call is None:
            return step
        writer = Writer(node.inputs)
        return changed(
            step, writer, call.replace(" if {0} else ", f" if {writer.item(truth)} else "), step.part.functions
        )

    def _ranged(self, step: Step, dtype: str) -> Step:
        """A range of floats whose bounds are sizes or other whole numbers, by those."""
        items = [self._item(name) for name in step.node.inputs]
        bounds = Sizes(tuple(item for item in items if item is not None))
        source = next(sources(bounds), None)
        if None in items or source is None:
            return step
        writer = Writer([])
        call = f"torch.arange({writer.items(bounds)}, dtype=torch.{dtype}, device={writer.value(source)}.device)"
        return changed(step, writer, call, ())
