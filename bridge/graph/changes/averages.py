"""Means over all places of an image as GlobalAveragePool, which ONNX Runtime computes in the layout of its Conv."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto, helper

from bridge.graph.changes.free_names import FreeNames
from bridge.graph.changes.layouts import made_turned, makers_of

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # Transposes to channels_first and to channels_last
_PLACES = [1, 2]  # the axes of an image's places, channels_last


def average_globally(graph: onnx.GraphProto, values: dict[str, onnx.TypeProto.Tensor]) -> None:
    """Makes a GlobalAveragePool of each mean over the places of float32 images that were channels_first before."""
    makers = makers_of(graph)
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
    return places and value.elem_type == TensorProto.FLOAT and made_turned(node.input[0], makers) == _LAST


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
