"""Normalizations of a batch as a product and a sum, where no convolution is near that they could be a part of."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto, helper

from bridge.graph.changes.free_names import FreeNames
from bridge.graph.changes.layouts import made_turned, makers_of, permutation, readers_of, taken_turned


def scale_in_place(graph: onnx.GraphProto, values: dict[str, onnx.TypeProto.Tensor]) -> None:
    """Spares a BatchNormalization the Transposes before and behind it, if others don't cancel them.

    Of the weights, which are constants, a runtime computes the factors and the offsets once.
    """
    makers, readers, free = makers_of(graph), readers_of(graph), FreeNames(graph)
    made: dict[str, list[onnx.NodeProto]] = {}  # by the output of the Transpose behind
    for node in graph.node:
        if node.op_type != "BatchNormalization" or len(readers.get(node.output[0], [])) != 1:
            continue
        if any(a.name == "training_mode" and a.i for a in node.attribute):
            continue  # by the statistics of the batch
        before, (behind,) = makers.get(node.input[0]), readers[node.output[0]]
        there, back = permutation(before), permutation(behind)
        value = values.get(node.input[0])
        if before is None or behind is None or not there or back != [there.index(i) for i in range(len(there))]:
            continue
        alone = not made_turned(before.input[0], makers) and not taken_turned(behind.output[0], readers)
        if alone and value is not None and value.elem_type == TensorProto.FLOAT:
            made[behind.output[0]] = list(_scaled(node, before.input[0], behind.output[0], there, free))
    nodes = [each for node in graph.node for each in made.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)


def _scaled(norm: onnx.NodeProto, x: str, y: str, turn: list[int], free: FreeNames) -> Iterator[onnx.NodeProto]:
    """y = x * factor + offset, along the axis that `turn` puts second."""
    _, gamma, beta, mean, variance = norm.input
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    names = "epsilon some deviation factor shift offset behind factor_wide offset_wide product"
    name = {word: free(f"{y}_{word}") for word in names.split()}
    yield helper.make_node("Constant", [], [name["epsilon"]], value_float=epsilon)
    yield helper.make_node("Add", [variance, name["epsilon"]], [name["some"]])
    yield helper.make_node("Sqrt", [name["some"]], [name["deviation"]])
    yield helper.make_node("Div", [gamma, name["deviation"]], [name["factor"]])
    yield helper.make_node("Mul", [mean, name["factor"]], [name["shift"]])
    yield helper.make_node("Sub", [beta, name["shift"]], [name["offset"]])
    behind = [*range(1, len(turn) - turn[1])]
    if behind:
        yield helper.make_node("Constant", [], [name["behind"]], value_ints=behind)
        for word in ("factor", "offset"):
            yield helper.make_node("Unsqueeze", [name[word], name["behind"]], [name[f"{word}_wide"]])
    wide = "_wide" if behind else ""
    yield helper.make_node("Mul", [x, name[f"factor{wide}"]], [name["product"]], norm.name)
    yield helper.make_node("Add", [name["product"], name[f"offset{wide}"]], [y])
