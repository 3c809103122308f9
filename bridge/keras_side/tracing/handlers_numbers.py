"""Arithmetic, sums, choices and places that tf2onnx does not know, or writes wrongly."""

from __future__ import annotations

import re
import string
from typing import Any

import numpy as np
from onnx import TensorProto

from bridge.keras_side.tracing.handlers import Unwritten, Writer, handler


@handler("Log1p")
def log1p(graph: Any, node: Any, name: str, args: Any) -> None:
    """2 atanh(x / (2 + x)) near 0, which is exact there, as its gradient is; log(1 + x) elsewhere."""
    make = Writer(graph, node)
    (x,) = make.inputs
    half, two = make.like(0.5, x), make.like(2.0, x)
    near = make("Min", make("Max", x, make("Neg", half)), half)
    exact = make("Mul", two, make("Atanh", make("Div", near, make("Add", two, near))))
    make.end("Where", make("Less", make("Abs", x), half), exact, make("Log", make("Add", make.like(1.0, x), x)))


@handler("Expm1")
def expm1(graph: Any, node: Any, name: str, args: Any) -> None:
    """2 exp(x / 2) sinh(x / 2), exact near 0; from -60 on it is -1."""
    make = Writer(graph, node)
    (x,) = make.inputs
    half = make("Mul", make("Max", x, make.like(-60.0, x)), make.like(0.5, x))
    make.end("Mul", make("Mul", make.like(2.0, x), make("Exp", half)), make("Sinh", half))


@handler("FloorDiv", "FloorMod")
def floored(graph: Any, node: Any, name: str, args: Any) -> None:
    """Rounded toward minus infinity; ONNX divides whole numbers toward zero, and tf2onnx leaves it at that."""
    whole = node.type == "FloorDiv"
    make = Writer(graph, node)
    x, y = make.inputs
    if make.dtype in _REAL or (_counts(graph, x) and _counts(graph, y)):  # sizes are read best as plain divisions
        quotient = make("Div", x, y)
        quotient = make("Floor", quotient) if make.dtype in _REAL else quotient
        make.end(*("Identity", quotient) if whole else ("Sub", x, make("Mul", quotient, y)))
        return
    minus = None
    if make.dtype in (TensorProto.INT32, TensorProto.INT64) and _may_be(graph, y, -1):
        # processors stop at the smallest number by -1; TensorFlow gives the number itself, as its negation does
        minus = make("Equal", y, make.like(-1.0, y))
        y = make("Where", minus, make.like(1.0, y), y)
    rest = make("Mod", x, y)
    if not whole:
        make.end("Identity", rest)
    elif minus is None:
        make.end("Div", make("Sub", x, rest), y)
    else:
        make.end("Where", minus, make("Neg", x), make("Div", make("Sub", x, rest), y))


def _may_be(graph: Any, name: str, number: int) -> bool:
    """Whether a number may be among those of a tensor."""
    node = graph.get_node_by_output(name)
    return node is None or not node.is_const() or bool((node.get_tensor_value(as_list=False) == number).any())


_REAL = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_PICKED = ("Cast", "Gather", "GatherV2", "Identity", "Prod", "ReduceProd", "Reshape")
_PICKED += ("Slice", "Squeeze", "StridedSlice", "Unsqueeze")
_JOINED = ("Add", "AddV2", "Concat", "ConcatV2", "Div", "Mul", "Pack")


def _counts(graph: Any, name: str) -> bool:
    """Whether numbers come from shapes and constants without a sign alone, so that none is negative."""
    node = graph.get_node_by_output(name)
    if node is None or node.type == "Shape":
        return node is not None
    if node.is_const():
        return bool((node.get_tensor_value(as_list=False) >= 0).all())
    if node.type in _PICKED:
        return _counts(graph, node.input[0])
    return node.type in _JOINED and all(_counts(graph, one) for one in node.input)


@handler("Erfc")
def erfc(graph: Any, node: Any, name: str, args: Any) -> None:
    make = Writer(graph, node)
    (x,) = make.inputs
    make.end("Sub", make.like(1.0, x), make("Erf", x))


@handler("Xlogy")
def xlogy(graph: Any, node: Any, name: str, args: Any) -> None:
    """x log(y), 0 where x is 0."""
    make = Writer(graph, node)
    x, y = make.inputs
    none, zero = make.where_zero(x)
    make.end("Where", none, zero, make("Mul", x, make("Log", make("Where", none, make.like(1.0, y), y))))


@handler("DivNoNan")
def divide_no_nan(graph: Any, node: Any, name: str, args: Any) -> None:
    """0 where y is 0, and so is its gradient: tf2onnx divides by 0 first, of which training makes NaN."""
    make = Writer(graph, node)
    x, y = make.inputs
    none, zero = make.where_zero(y)
    make.end("Where", none, zero, make("Div", x, make("Where", none, make.like(1.0, y), y)))


@handler("MulNoNan")
def multiply_no_nan(graph: Any, node: Any, name: str, args: Any) -> None:
    """0 where y is 0, whatever x is there."""
    make = Writer(graph, node)
    x, y = make.inputs
    none, zero = make.where_zero(y)
    make.end("Mul", make("Where", none, zero, x), y)


@handler("EuclideanNorm")
def euclidean_norm(graph: Any, node: Any, name: str, args: Any) -> None:
    keep = node.get_attr_value("keep_dims")
    make = Writer(graph, node)
    x, axes = make.inputs
    make.end("ReduceL2", x, make.listed(axes), keepdims=int(bool(keep)))


@handler("Mean")
def mean(graph: Any, node: Any, name: str, args: Any) -> None:
    """Of whole numbers by their sum, rounded toward zero: torch has no mean of these."""
    from tf2onnx.onnx_opset.reduction import ReduceOpBase

    if graph.get_dtype(node.output[0]) in _REAL:
        node.type = "ReduceMean"
        ReduceOpBase.version_18(graph, node)
        return
    keep = int(bool(node.get_attr_value("keep_dims")))
    make = Writer(graph, node)
    x, axes = make.inputs
    wide = make("Cast", x, to=TensorProto.INT64)
    total = make("ReduceSum", wide, make.listed(axes), keepdims=keep, noop_with_empty_axes=1)
    count = make("Div", make("Size", x), make("Max", make("Size", total), make.constant(np.array(1))))
    make.end("Cast", make("Div", total, count), to=make.dtype)


@handler("InTopKV2")
def in_top_k(graph: Any, node: Any, name: str, args: Any) -> None:
    """Whether fewer than k numbers of a row are larger than the one at its target."""
    make = Writer(graph, node)
    x, target, k = make.inputs
    place = make("Unsqueeze", make("Cast", target, to=TensorProto.INT64), make.constant(np.array([1])))
    larger = make("Cast", make("Greater", x, make("GatherElements", x, place, axis=1)), to=TensorProto.INT64)
    count = make("ReduceSum", larger, make.constant(np.array([1])), keepdims=0)
    make.end("Less", count, make("Cast", k, to=TensorProto.INT64))


@handler("LowerBound", "UpperBound")
def bound(graph: Any, node: Any, name: str, args: Any) -> None:
    """How many of a row's numbers are below (not above) each of the values."""
    below = "Less" if node.type == "LowerBound" else "LessOrEqual"
    make = Writer(graph, node)
    row, values = make.inputs
    row, values = make("Unsqueeze", row, make.vector([1])), make("Unsqueeze", values, make.vector([2]))
    make.end("ReduceSum", make("Cast", make(below, row, values), to=make.dtype), make.vector([2]), keepdims=0)


@handler("BroadcastArgs")
def broadcast_shape(graph: Any, node: Any, name: str, args: Any) -> None:
    """The shape of a tensor of the one shape, expanded by the other one."""
    make = Writer(graph, node)
    one, other = (make("Cast", shape, to=TensorProto.INT64) for shape in make.inputs)
    make.end("Cast", make("Shape", make("Expand", make("ConstantOfShape", one), other)), to=make.dtype)


@handler("Cross")
def cross(graph: Any, node: Any, name: str, args: Any) -> None:
    """a[1, 2, 0] b[2, 0, 1] - a[2, 0, 1] b[1, 2, 0] along the last axis."""
    make = Writer(graph, node)
    turned = [[make("Gather", x, make.vector(order), axis=-1) for order in ([1, 2, 0], [2, 0, 1])] for x in make.inputs]
    (a, after), (b, behind) = turned
    make.end("Sub", make("Mul", a, behind), make("Mul", after, b))


@handler("OneHot")
def one_hot(graph: Any, node: Any, name: str, args: Any) -> None:
    """Nothing is on for a negative number, which ONNX counts from the end; tf2onnx leaves it at that."""
    axis = node.get_attr_value("axis", -1)
    make = Writer(graph, node)
    x, depth, on, off = make.inputs
    x, depth = (make("Cast", one, to=TensorProto.INT64) for one in (x, depth))
    place = make("Where", make("Less", x, make.constant(np.array(0))), depth, x)
    if make.dtype == TensorProto.FLOAT:
        first = make.constant(np.array([0]))
        make.end(
            "OneHot", place, depth, make("Concat", *(make("Unsqueeze", v, first) for v in (off, on)), axis=0), axis=axis
        )
    else:  # ONNX Runtime has few types of it
        hot = make("OneHot", place, depth, make.constant(np.array([0, 1], np.float32)), axis=axis)
        hot = make("Cast", hot, to=TensorProto.BOOL)
        if make.dtype == TensorProto.BOOL:  # nor a Where of these
            make.end("Or", make("And", hot, on), make("And", make("Not", hot), off))
        else:
            make.end("Where", hot, on, off)


@handler("Bucketize")
def bucketize(graph: Any, node: Any, name: str, args: Any) -> None:
    """How many of the boundaries a number reaches."""
    bounds = np.array(node.get_attr_value("boundaries"), np.float32)
    make = Writer(graph, node)
    (x,) = make.inputs
    wide = make("Unsqueeze", make("Cast", x, to=TensorProto.FLOAT), make.constant(np.array([-1])))
    reached = make("Cast", make("GreaterOrEqual", wide, make.constant(bounds)), to=TensorProto.INT32)
    make.end("ReduceSum", reached, make.constant(np.array([-1])), keepdims=0)


@handler("ResizeBilinear", "ResizeNearestNeighbor")
def resize(graph: Any, node: Any, name: str, args: Any) -> None:
    """To sizes; tf2onnx writes scales, from which runtimes read the wrong size: 6 times 0.8333333 is 4.9999998."""
    nearest = node.type == "ResizeNearestNeighbor"
    aligned, half = (bool(node.get_attr_value(word, 0)) for word in ("align_corners", "half_pixel_centers"))
    place = "align_corners" if aligned else "half_pixel" if half else "asymmetric"
    make = Writer(graph, node)
    x, size = make.inputs
    image = make("Transpose", x if nearest else make("Cast", x, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    front = make("Slice", make("Shape", image), *(make.constant(np.array([n])) for n in (0, 2)))
    resized = make(  # all axes: ONNX Runtime's transpose optimizer loses sizes of some
        *("Resize", image, "", "", make("Concat", front, make("Cast", size, to=TensorProto.INT64), axis=0)),
        mode="nearest" if nearest else "linear",
        coordinate_transformation_mode=place,
        nearest_mode="floor" if place == "asymmetric" else "round_prefer_ceil",  # from half a pixel on: as floor
    )
    make.end("Transpose", resized, perm=[0, 2, 3, 1])


@handler("ScatterNd")
def scatter_nd(graph: Any, node: Any, name: str, args: Any) -> None:
    """Zeros to which the updates are added, as often as an index comes; tf2onnx keeps the last one alone."""
    make = Writer(graph, node)
    indices, updates, shape = make.inputs
    narrow = graph.get_dtype(updates) == TensorProto.INT32  # ONNX Runtime's CUDA provider takes it, and can't run it
    if narrow:
        updates = make("Cast", updates, to=TensorProto.INT64)
    zeros = make("Expand", make.like(0.0, updates), make("Cast", shape, to=TensorProto.INT64))
    scattered = zeros, make("Cast", indices, to=TensorProto.INT64), updates
    if narrow:
        make.end("Cast", make("ScatterND", *scattered, reduction="add"), to=TensorProto.INT32)
    else:
        make.end("ScatterND", *scattered, reduction="add")


@handler("Einsum")
def einsum(graph: Any, node: Any, name: str, args: Any) -> None:
    """With letters of one case: tf2onnx makes `H` and `h` one."""
    equation = re.sub(r"\s", "", node.get_attr_str("equation"))
    letters = dict(zip(dict.fromkeys(re.findall(r"[A-Za-z]", equation)), string.ascii_lowercase, strict=False))
    if len(letters) < len(set(re.findall(r"[A-Za-z]", equation))):
        raise Unwritten(f"Einsum: {equation} has more than 26 axes")
    make = Writer(graph, node)
    make.end("Einsum", *make.inputs, equation="".join(letters.get(letter, letter) for letter in equation))


@handler("Cumprod")
def product_so_far(graph: Any, node: Any, name: str, args: Any) -> None:
    """Each number times the one 1, 2, 4, ... places before it in turn: ONNX has no such operator up to opset 25."""
    axis = node.inputs[1].get_tensor_value() if node.inputs[1].is_const() else None
    shape = graph.get_shape(node.input[0])
    if axis is not None and shape is not None:
        axis = int(axis) % len(shape)
    length = shape[axis] if shape is not None and axis is not None else -1
    if length is None or length < 0:
        raise Unwritten("Cumprod: along an axis of any length")
    reverse, exclusive = (bool(node.get_attr_value(word, 0)) for word in ("reverse", "exclusive"))
    make = Writer(graph, node)
    x, one, along = make.inputs[0], make.like(1.0, make.inputs[0]), make.constant(np.array([axis]))

    def moved(by: int) -> str:
        """Ones in front, what falls out at the end left out; the other way round for `reverse`."""
        longer = make("Pad", x, make.constant(np.array([0, by] if reverse else [by, 0])), one, along)
        start, end = (by, length + by) if reverse else (0, length)
        return make("Slice", longer, make.constant(np.array([start])), make.constant(np.array([end])), along)

    if exclusive:
        x = moved(1)
    for step in range(max(length - 1, 0).bit_length()):
        x = make("Mul", x, moved(2**step))
    make.end("Identity", x)
