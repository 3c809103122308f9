"""The operators of TensorFlow's backward passes, for derivatives that a model's own code asks for."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from bridge.keras_side.tracing.handlers import FAR, Unwritten, Writer, handler

_SELU, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.7580993408473768599402175208123


@handler("TanhGrad", "SigmoidGrad", "SqrtGrad", "RsqrtGrad", "ReciprocalGrad", "InvGrad")
def by_its_result(graph: Any, node: Any, name: str, args: Any) -> None:
    """Of y = f(x), by y and the gradient that comes to it."""
    make = Writer(graph, node)
    y, upstream = make.inputs
    square = make("Mul", y, y) if node.type != "SigmoidGrad" else y
    if node.type == "TanhGrad":
        slope = make("Sub", make.like(1.0, y), square)
    elif node.type == "SigmoidGrad":
        slope = make("Mul", y, make("Sub", make.like(1.0, y), y))
    elif node.type == "SqrtGrad":
        slope = make("Div", make.like(0.5, y), y)
    elif node.type == "RsqrtGrad":
        slope = make("Mul", make.like(-0.5, y), make("Mul", square, y))
    else:
        slope = make("Neg", square)
    make.end("Mul", upstream, slope)


@handler("ReluGrad", "Relu6Grad", "LeakyReluGrad", "EluGrad", "SeluGrad")
def on_two_sides(graph: Any, node: Any, name: str, args: Any) -> None:
    """By a number of which the sign decides: the argument, or for ELU and SELU the result."""
    make = Writer(graph, node)
    upstream, x = make.inputs
    zero = make.like(0.0, x)
    right = make("Greater", x, zero)
    if node.type in ("EluGrad", "SeluGrad"):
        scale, end = (1.0, 1.0) if node.type == "EluGrad" else (_SELU, _SELU_ALPHA)
        other = make("Mul", make("Add", x, make.like(end, x)), upstream)
        make.end("Where", make("Less", x, zero), other, make("Mul", upstream, make.like(scale, x)))
    elif node.type == "LeakyReluGrad":
        alpha = make.like(node.get_attr_value("alpha", 0.2), x)
        make.end("Where", right, upstream, make("Mul", upstream, alpha))
    else:
        right = right if node.type == "ReluGrad" else make("And", right, make("Less", x, make.like(6.0, x)))
        make.end("Where", right, upstream, zero)


@handler("SoftplusGrad", "SoftsignGrad")
def by_its_argument(graph: Any, node: Any, name: str, args: Any) -> None:
    make = Writer(graph, node)
    upstream, x = make.inputs
    if node.type == "SoftplusGrad":
        make.end("Mul", upstream, make("Sigmoid", x))
    else:
        below = make("Add", make.like(1.0, x), make("Abs", x))
        make.end("Div", upstream, make("Mul", below, below))


@handler("BiasAddGrad")
def of_a_bias(graph: Any, node: Any, name: str, args: Any) -> None:
    rank = len(graph.get_shape(node.input[0]))
    channels = 1 if node.get_attr_value("data_format", b"NHWC") in (b"NCHW", "NCHW") else rank - 1
    make = Writer(graph, node)
    make.end("ReduceSum", make.inputs[0], make.vector([a for a in range(rank) if a != channels]), keepdims=0)


@handler("BroadcastGradientArgs")
def of_broadcasts(graph: Any, node: Any, name: str, args: Any) -> None:
    """The axes along which each of two tensors was repeated, whose sums their gradients are.

    An axis that is open in both is as long in both: else the Reshape that follows fails.
    """
    shapes = [_described(graph, graph.get_node_by_output(each), each) for each in node.input]
    rank = max(map(len, shapes))
    shapes = [[1] * (rank - len(shape)) + shape for shape in shapes]
    outputs, kinds = [*node.output], [graph.get_dtype(output) for output in node.output]
    make = Writer(graph, node)
    for own, output, kind in zip(shapes, outputs, kinds, strict=True):
        axes = make.constant(np.array([axis for axis, size in enumerate(own) if size == 1], np.int32))
        graph.make_node("Cast", [axes], attr={"to": kind}, outputs=[output], shapes=[[-1]], dtypes=[kind])


@handler("ShapeN")
def shapes_of_several(graph: Any, node: Any, name: str, args: Any) -> None:
    outputs, kind = [*node.output], graph.get_dtype(node.output[0])
    make = Writer(graph, node)
    for given, output in zip(make.inputs, outputs, strict=True):
        rank = len(graph.get_shape(given))
        graph.make_node(
            "Cast", [make("Shape", given)], attr={"to": kind}, outputs=[output], shapes=[[rank]], dtypes=[kind]
        )


@handler("ConcatOffset")
def where_parts_begin(graph: Any, node: Any, name: str, args: Any) -> None:
    """The place of each tensor in what they are joined to, one number an axis."""
    if not node.inputs[0].is_const():
        raise Unwritten("ConcatOffset: along an axis that is computed")
    shapes = [_described(graph, graph.get_node_by_output(each), each) for each in node.input[1:]]
    axis = int(node.inputs[0].get_tensor_value()) % len(shapes[0])
    sizes = [shape[axis] for shape in shapes]
    if any(size < 0 for size in sizes[:-1]):
        raise Unwritten("ConcatOffset: of tensors of any length")
    outputs = [*node.output]
    make = Writer(graph, node)
    for shape, output in zip(shapes, outputs, strict=True):
        for taken in graph.find_output_consumers(output):
            if taken.type == "Slice" and taken.input[1] == output:  # all of an axis that is open, which no sum says
                sizes_of = make.constant(np.array(shape, np.int32))
                graph.replace_input(taken, taken.input[2], sizes_of, 2)
    for place, output in zip(np.cumsum([0, *sizes[:-1]]), outputs, strict=True):
        offset = np.zeros(len(shapes[0]), np.int32)
        offset[axis] = place
        graph.make_node(
            "Identity", [make.constant(offset)], outputs=[output], shapes=[offset.shape], dtypes=[make.dtype]
        )


@handler("DynamicStitch", "ParallelDynamicStitch")
def stitched(graph: Any, node: Any, name: str, args: Any) -> None:
    """Rows put to the places that are said for them, of several for one place the last; tf2onnx leaves zeros behind."""
    half = len(node.input) // 2
    places = [each.get_tensor_value(as_list=False) if each.is_const() else None for each in node.inputs[:half]]
    if any(place is None or place.ndim > 1 for place in places):
        raise Unwritten(f"{node.type}: to places that are computed")
    last = {int(at): (part, row) for part, each in enumerate(places) for row, at in enumerate(np.atleast_1d(each))}
    if sorted(last) != list(range(len(last))):
        raise Unwritten(f"{node.type}: to places with others between them")
    make = Writer(graph, node)
    picked = []
    for part, run in groupby((last[at] for at in range(len(last))), key=lambda found: found[0]):
        data = make.inputs[half + part]
        data = make("Unsqueeze", data, make.vector([0])) if places[part].ndim == 0 else data
        picked.append(make("Gather", data, make.vector([row for _, row in run]), axis=0))
    make.end("Concat", *picked, axis=0)


@handler("StridedSliceGrad")
def of_a_slice(graph: Any, node: Any, name: str, args: Any) -> None:
    """Zeros round the gradient that comes to the slice."""
    sizes = _described(graph, graph.get_node_by_output(node.input[0]), node.input[0])
    if not all(each.is_const() for each in node.inputs[1:4]):
        raise Unwritten("StridedSliceGrad: of places that are computed")
    bounds = [[int(number) for number in each.get_tensor_value(as_list=False)] for each in node.inputs[1:4]]
    masks = {w: node.get_attr_value(f"{w}_mask", 0) for w in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    made, gone, pads = [], [], []  # axes that the slice made, and took away; what it left out before and behind
    axis = 0  # of the tensor that the slice was of
    for place, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        told = {word: bool(mask >> place & 1) for word, mask in masks.items()}
        if told["ellipsis"]:
            later = sum(not masks["new_axis"] >> p & 1 for p in range(place + 1, len(bounds[0])))
            for _ in range(len(sizes) - axis - later):
                pads.append((0, 0))
                axis += 1
        elif told["new_axis"]:
            made.append(axis - len(gone) + len(made))
        else:
            size = sizes[axis]
            if told["shrink_axis"]:
                gone.append(axis)
                begin, end = (begin, begin + 1) if begin != -1 else (begin, FAR)
            begin, end = (
                None if told[word] and not told["shrink_axis"] else n for word, n in (("begin", begin), ("end", end))
            )
            if step != 1 or (size < 0 and (begin or 0, end) != (0, None)):
                raise Unwritten("StridedSliceGrad: of a slice with steps, or of an axis of any length")
            first, last, _ = slice(begin, end).indices(size) if size >= 0 else (0, 0, 1)
            pads.append((first, size - max(first, last)) if size >= 0 else (0, 0))
            axis += 1
    pads += [(0, 0)] * (len(sizes) - len(pads))
    make = Writer(graph, node)
    x = make.inputs[4]
    if made:
        x = make("Squeeze", x, make.vector(made))
    if gone:
        x = make("Unsqueeze", x, make.vector(gone))
    before, behind = zip(*pads, strict=True)
    make.end("Pad", x, make.vector([*before, *behind]), make.like(0.0, x))


def _described(graph: Any, node: Any, output: str) -> list[int]:
    """The sizes that a vector of them says, -1 for what is open."""
    while node.type in ("Cast", "Identity"):
        output = node.input[0]
        node = node.inputs[0]
    if node.is_const():
        return [int(size) for size in node.get_tensor_value()]
    place = list(node.output).index(output) if node.type == "ShapeN" else 0
    shape = graph.get_shape(node.input[place]) if node.type in ("Shape", "ShapeN") else None
    if shape is None:
        raise Unwritten("the derivative of a tensor whose shape is computed")
    return list(shape)
