"""Means over all places of an image as GlobalAveragePool, which ONNX Runtime computes in the layout of its Conv."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto, helper

from bridge.graph.changes.free_names import FreeNames

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # Transposes to channels_first and to channels_last
_PLACES = [1, 2]  # the axes of an image's places, channels_last
# What may stand between a convolution and the mean, and turns into the other layout with them
_ALIKE = frozenset({"Relu", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Clip", "Add", "Mul"})


def average_globally(graph: onnx.GraphProto, values: dict[str, onnx.TypeProto.Tensor]) -> None:
    """Makes a GlobalAveragePool of each mean over the places of float32 images that were channels_first before."""
    makers = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    free = FreeNames(graph)
    for node in graph.node:
        nodes += _pooled(node, free) if _is_mean(node, makers, values) else (node,)
    del graph.node[:]
    graph.node.extend(nodes)


def _is_mean(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto], values: dict[str, onnx.TypeProto.Tensor]) -> bool:
    if node.op_type != "ReduceMean" or len(node.input) != 2:
        return False
    axes, value = makers.get(node.input[1]), values.get(node.input[0])
    if axes is None or axes.op_type != "Constant" or value is None or len(value.shape.dim) != 4:
        return False
    places = [list(a.ints) for a in axes.attribute if a.name == "value_ints"] == [_PLACES]
    return places and value.elem_type == TensorProto.FLOAT and _turned(node.input[0], makers)


def _turned(name: str, makers: dict[str, onnx.NodeProto]) -> bool:
    """Whether the images come out of a Transpose to channels_last."""
    node = makers.get(name)
    while node is not None and node.op_type in _ALIKE:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Transpose" and [list(a.ints) for a in node.attribute] == [_LAST]


def _pooled(mean: onnx.NodeProto, free: FreeNames) -> Iterator[onnx.NodeProto]:
    (y,) = mean.output
    kept = next((a.i for a in mean.attribute if a.name == "keepdims"), 1)
    turned, pooled, axes = (free(f"{y}_{word}") for word in ("turned", "pooled", "axes"))
    yield helper.make_node("Transpose", [mean.input[0]], [turned], perm=_FIRST)
    yield helper.make_node("GlobalAveragePool", [turned], [pooled], mean.name)
    if kept:
        yield helper.make_node("Transpose", [pooled], [y], perm=_LAST)
    else:
        yield helper.make_node("Constant", [], [axes], value_ints=[2, 3])
        yield helper.make_node("Squeeze", [pooled, axes], [y])
