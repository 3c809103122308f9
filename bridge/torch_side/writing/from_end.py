"""Numbers of an embedding that a model computes: Keras counts negative ones from the end of the table."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from bridge.graph import Graph, Node
from bridge.torch_side.writing.part import Part

# what gives no negative number; what gives some of the numbers that it takes, by where these come first
_COUNTS = ("ArgMax", "ArgMin", "Shape", "Size", "NonZero", "Abs", "IntegerLookup", "Discretization")
_PICKS = ("Cast", "Identity", "Reshape", "Gather", "GatherElements", "GatherND", "Slice", "Squeeze", "Unsqueeze")
_PICKS += ("Transpose", "Expand", "Tile", "Flatten", "Permute", "RepeatVector", "StopGradient", "Split", "TopK")
_PICKS += ("Dropout", "Cropping1D", "Cropping2D", "Floor", "Round", "Ceil")
_JOINS = ("Concat", "Concatenate", "Add", "Mul", "Div", "Min", "Sum", "CumSum", "ReduceSum", "InTraining")


def counted_from_end(x: Tensor, size: int) -> Tensor:
    """Numbers of rows of a table, the negative ones counted from its end."""
    return x.where(x >= 0, x + size)


def with_negative_numbers(node: Node, part: Part, graph: Graph) -> Part:
    """The call of an embedding that takes negative numbers too, where the model computes some.

    A model's own inputs are taken for counts: torch raises an IndexError otherwise.
    """
    assert node.layer is not None
    if node.kind not in ("Embedding", "ReversibleEmbedding") or node.layer.config.get("reverse"):
        return part
    if not _Signs(graph).may_be_negative(node.inputs[0]):
        return part
    size = node.layer.weights["embeddings"].shape[0]
    call = (part.call or "{self}({0})").replace("{0}", f"counted_from_end({{0}}, {size})")
    return replace(part, call=call, functions=(*part.functions, counted_from_end))


class _Signs:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.inputs = {value.name for value in graph.inputs}
        self.seen: dict[str, bool] = {}

    def may_be_negative(self, name: str) -> bool:
        if name not in self.seen:
            self.seen[name] = True  # while it is asked for
            self.seen[name] = self._asked(name)
        return self.seen[name]

    def _asked(self, name: str) -> bool:
        node, constant = self.makers.get(name), self.graph.constants.get(name)
        if name in self.inputs:
            return False
        if constant is not None:
            return bool((constant < 0).any())
        if node is None:
            return True  # in a loop
        given = [each for each in node.inputs if each]
        if node.kind in _COUNTS:
            return False
        if node.kind in _PICKS:
            return self.may_be_negative(given[0])
        if node.kind in _JOINS:
            return any(map(self.may_be_negative, given))
        if node.kind == "Max":
            return all(map(self.may_be_negative, given))
        if node.kind == "Clip":
            return all(map(self.may_be_negative, filter(None, node.inputs[:2])))
        if node.kind == "Where":
            return any(map(self.may_be_negative, given[1:]))
        if node.kind == "Range":
            return self.may_be_negative(given[0]) or self.may_be_negative(given[2])
        return node.kind != "Mod" or self.may_be_negative(given[0 if node.attributes.get("fmod") else 1])
