"""Sums, means, ... of segments. tf2onnx takes a negative number of a segment from the end, which TensorFlow leaves out,
and divides by nothing where a segment is empty."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from bridge.keras_side.tracing.handlers import FAR, Unwritten, Writer, handler

_KINDS = ("Sum", "Mean", "Max", "Min", "Prod")
_REDUCTIONS = {"Max": "max", "Min": "min", "Prod": "mul"}


@handler(*(f"Segment{kind}" for kind in _KINDS), *(f"UnsortedSegment{kind}" for kind in _KINDS if kind != "Mean"))
def segments(graph: Any, node: Any, name: str, args: Any) -> None:
    """By adding (multiplying, ...) each row to that of its segment, of negative ones to one behind the last."""
    sorted_ones, kind = node.type.startswith("Segment"), node.type.rpartition("Segment")[2]
    rank = len(graph.get_shape(node.input[1]) or ())
    ranks = len(graph.get_shape(node.input[0]) or ()) - rank + 1
    if not rank or ranks < 1:
        raise Unwritten(f"{node.type}: its segments are of unknown rank")
    known = node.inputs[1].get_tensor_value(as_list=False) if node.inputs[1].is_const() else None
    make = Writer(graph, node)

    def behind(values: str, axes: int) -> str:
        return make("Slice", make("Shape", values), make.vector([axes]), make.vector([FAR]))

    x, ids = make.inputs[:2]
    ids = make.listed(ids)
    if rank > 1:
        x = make("Reshape", x, make("Concat", make.vector([-1]), behind(x, rank), axis=0))
    if sorted_ones:
        count = make("Add", make("ReduceMax", ids, keepdims=1), make.vector([1]))
    else:
        count = make.listed(make.inputs[2])
    places, rows = ids, count
    left_out = known is None or (known < 0).any()
    if left_out:
        places = make("Where", make("Less", ids, make.vector([0])), count, ids)
        rows = make("Add", count, make.vector([1]))
    places = make("Unsqueeze", places, make.vector([1]))

    def gathered(begin: float, values: str, reduction: str) -> str:
        sizes = make("Concat", rows, behind(values, 1), axis=0)
        first = make.constant(np.array(begin, helper.tensor_dtype_to_np_dtype(make.dtype)))
        y = make("ScatterND", make("Expand", first, sizes), places, values, reduction=reduction)
        return make("Slice", y, make.vector([0]), count, make.vector([0])) if left_out else y

    y = gathered(_first(kind, make.dtype), x, _REDUCTIONS.get(kind, "add"))
    if sorted_ones and kind in ("Mean", "Max", "Min"):
        one = make.like(1.0, x)
        ones = make("Expand", one, make("Slice", make("Shape", x), *map(make.vector, ([0], [1]))))
        met = gathered(0, ones, "add")
        met = make("Reshape", met, make.vector([-1, *[1] * (ranks - 1)])) if ranks > 1 else met
        if kind == "Mean":
            y = make("Div", y, make("Max", met, one))
        else:
            y = make("Where", make("Less", met, one), make.like(0.0, x), y)
    make.end("Identity", y)


def _first(kind: str, dtype: int) -> float:
    """What an empty segment is."""
    numpy = np.dtype(helper.tensor_dtype_to_np_dtype(dtype))
    limits = np.finfo(numpy) if numpy.kind == "f" else np.iinfo(numpy)
    return {"Max": limits.min, "Min": limits.max, "Prod": 1}.get(kind, 0)
