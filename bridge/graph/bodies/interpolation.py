"""Lines of ONNX that give images another size.

A resize is one sum along the height and one along the width. Where a kernel is wider than two pixels, that is a matrix
of weights for each of the two axes, (new length, old length), computed from the two lengths by the body itself: they
may be unknown, and where they are known ONNX Runtime computes the matrix once, when it loads the model.
Source of the arithmetic: TensorFlow's resize_bilinear_op, resize_bicubic_op, scale_and_translate_op, sampling_kernels.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bridge.graph.bodies.space import Pads, channels_last, in_channels_first, onnx_pads, spatial_axes
from bridge.graph.body import integers, number
from bridge.graph.layer import Layer, Shape

_RADIUS = {"lanczos3": 3, "lanczos5": 5}
_MOST = 256  # pixels of an axis; from there on ONNX Runtime gathers them faster than it multiplies
_MANY = 8  # channels that stand together; so many are gathered faster than one by one
_LONG = 2**16  # pixels of an axis, of longer ones nobody looks how places are rounded
_NEAR = 2**-18  # pixels by which the axes of a place may together be rounded otherwise: 4e-6 of what neighbours differ
_LINEAR = 'mode = "linear", coordinate_transformation_mode = "half_pixel"'
_NEAREST = 'mode = "nearest", coordinate_transformation_mode = "half_pixel", nearest_mode = "round_prefer_ceil"'
METHODS = ("nearest", "bilinear", "bicubic", *_RADIUS)


@dataclass(frozen=True)
class Resize:
    """What a layer does to the height and the width of its images.

    frame: pixels added (with the value `fill`; negative: cut off) before and after each axis, in advance.
    lengths: of both axes then; None is unknown. size: what they become. factors: or how often longer they become.
    fit: how images of unknown size get the aspect ratio of `size` in advance: "crop", "pad", or "center", which cuts
        those that are as large as `size` to that.
    """

    lengths: Shape
    frame: tuple[Pads, ...] = ((0, 0), (0, 0))
    fill: float = 0.0
    size: tuple[int, ...] | None = None
    factors: tuple[int, ...] | None = None
    method: str = "bilinear"
    antialias: bool = False
    fit: str = ""


def exact_scales(resize: Resize) -> tuple[float, ...] | None:
    """By what a bilinear resize multiplies the axes, if these are powers of two.

    Then the places of the new pixels are exact numbers. Others are rounded, by each library in an order of its own,
    which is up to 1e-5 of a pixel in an image of 300: only then ONNX's and torch's own interpolation isn't Keras's.
    """
    if resize.method != "bilinear" or resize.antialias or (resize.factors is None and None in resize.lengths):
        return None
    sizes = zip(resize.size or (), resize.lengths, strict=False)
    scales: tuple[float, ...] = resize.factors or tuple(new / old for new, old in sizes if old)
    return scales if all(math.frexp(scale)[0] == 0.5 for scale in scales) else None


def _near(resize: Resize) -> bool:
    """Whether ONNX's places of a bilinear resize's new pixels are Keras's but for `_NEAR`.

    ONNX Runtime divides by new / old, TensorFlow multiplies by old / new, in float32: up to place 32 of both axes their
    roundings differ by no more than that, and beyond for some lengths.
    """
    half = np.float32(0.5)
    return sum(float(np.abs((ours - half) - (keras - half)).max()) for ours, keras, _ in _middles(resize)) <= _NEAR


def _same(resize: Resize) -> bool:
    """Whether ONNX Runtime's nearest pixels are the very ones that Keras takes; of halves it takes the upper one."""
    for ours, keras, last in _middles(resize):
        place = (ours - np.float32(0.5)).astype(np.float64)
        for slack in (1, 1 + 2**-21):  # the CPU takes places that are hardly less than a half for one
            pixels = np.clip(np.floor(place * slack + 0.5), 0, last)
            if not np.array_equal(pixels, np.minimum(np.floor(keras), last)):
                return False
    return True


def _middles(resize: Resize) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """For each axis the places of its new pixels' middles, as ONNX and as Keras round them, and the last old pixel."""
    for old, after in zip(np.array(resize.lengths, np.float32), _size(resize), strict=True):
        new = np.float32(after)
        middles = np.arange(after, dtype=np.float32) + np.float32(0.5)
        yield middles / (new / old), middles * (old / new), int(old) - 1


def _size(resize: Resize) -> tuple[int, ...]:
    """What the lengths become: nothing, if that is unknown or so long that nobody looks how places are rounded."""
    if not all(resize.lengths):
        return ()
    size = resize.size or tuple(map(operator.mul, resize.lengths, resize.factors or ()))
    return size if 0 < min(size) <= max(size) <= _LONG else ()


def resized(layer: Layer, resize: Resize, shape: Shape) -> str:
    """Lines that make `y` of `x`, images of that shape."""
    if resize.fit == "center":
        return _centered(layer, resize, shape)
    lines, x = _framed(layer, resize)
    if resize.method == "none":
        return f"{lines}y = Identity({x})"
    axes, plain = spatial_axes(layer), resize.method == "bilinear" and not resize.antialias
    if scales := exact_scales(resize):
        return lines + scaled(layer, x, scales, _LINEAR)
    if size := _size(resize):
        few = not channels_last(layer) or (shape[-1] or _MANY) < _MANY
        if plain and _near(resize):
            return lines + _sized(axes, x, size, _LINEAR)
        if resize.method == "nearest" and few and _same(resize):
            return lines + _sized(axes, x, size, _NEAREST)
    lines += _single("zero", 0) + _single("one", 1) + _single("half", 0.5)
    for axis, name in zip(axes, ("rows", "columns"), strict=True):
        lines += _lengths(resize, axes.index(axis), axis, name, x)
    if resize.method == "nearest":
        for axis, name in zip(axes, ("rows", "columns"), strict=True):
            lines += _nearest(name)
            lines += f"{name}_y = Gather <axis = {axis}> ({x}, {name}_i)\n"
            x = f"{name}_y"
        return f"{lines}y = Identity({x})"
    if plain and not _few(resize):
        for axis, name in zip(axes, ("rows", "columns"), strict=True):
            lines += _bilinear(name, x, axis)
            x = f"{name}_y"
        return f"{lines}y = Identity({x})"
    for name in ("rows", "columns"):
        lines += _two_weights(name) if plain else _places(name, resize) + _kernel(name, resize)
    product = "across = Transpose (columns_w)\ntall = MatMul(rows_w, {x})\n{y} = MatMul(tall, across)"
    return lines + in_channels_first(layer, product, x)


def scaled(layer: Layer, x: str, scales: tuple[float, ...], how: str) -> str:
    listed = [1.0, *map(float, scales), 1.0] if channels_last(layer) else [1.0, 1.0, *map(float, scales)]
    return f"scales = Constant <value_floats = {listed}> ()\ny = Resize <{how}> ({x}, , scales)"


def _sized(axes: list[int], x: str, size: tuple[int, ...], how: str) -> str:
    return integers("sizes", size) + f"y = Resize <{how}, axes = {axes}> ({x}, , , sizes)"


def _framed(layer: Layer, resize: Resize) -> tuple[str, str]:
    """Lines that add or cut what `frame` or `fit` says, and the name of the result."""
    if resize.fit:
        return _fitted(layer, resize), "framed"
    if not any(size for pads in resize.frame for size in pads):
        return "", "x"
    axes = integers("frame_axes", spatial_axes(layer))
    if any(size < 0 for pads in resize.frame for size in pads):
        starts = integers("starts", [-before for before, _ in resize.frame])
        ends = integers("ends", [after or 2**31 - 1 for _, after in resize.frame])
        return f"{axes}{starts}{ends}framed = Slice(x, starts, ends, frame_axes)\n", "framed"
    pads = integers("pads", onnx_pads(resize.frame)) + number("fill", resize.fill)
    return f"{axes}{pads}framed = Pad(x, pads, fill, frame_axes)\n", "framed"


def _fitted(layer: Layer, resize: Resize) -> str:
    """Lines that define `framed`, what `fit` makes of x: in whole numbers, Keras's float32 up to products of 2**23."""
    axes = spatial_axes(layer)
    lines = integers("fit_axes", axes) + integers("fit_one", [1]) + integers("fit_two", [2])
    for n, axis, length in zip("hw", axes, resize.size or (), strict=True):
        lines += f"fit_{n} = Shape <start = {axis}, end = {axis + 1}> (x)\n" + integers(f"fit_{n}_size", [length])
    for n, other in ("hw", "wh"):
        lines += f"fit_{n}_product = Mul(fit_{other}, fit_{n}_size)\n"
        lines += f"fit_{n}_ratio = Div(fit_{n}_product, fit_{other}_size)\n"
        if resize.fit == "pad":
            lines += f"fit_{n}_all = Max(fit_{n}, fit_{n}_ratio)\nfit_{n}_more = Sub(fit_{n}_all, fit_{n})\n"
            lines += f"fit_{n}_pad = Div(fit_{n}_more, fit_two)\n"
            continue
        lines += f"fit_{n}_least = Min(fit_{n}, fit_{n}_ratio)\nfit_{n}_kept = Max(fit_{n}_least, fit_one)\n"
    if resize.fit == "pad":
        lines += "pads = Concat <axis = 0> (fit_h_pad, fit_w_pad, fit_h_pad, fit_w_pad)\n" + number("fill", resize.fill)
        return lines + "framed = Pad(x, pads, fill, fit_axes)\n"
    return lines + _middle("fit")


def _middle(tag: str) -> str:
    """Lines that define `framed`, what is in the middle of x: as much as {tag}_h_kept of {tag}_h, and w of w."""
    lines = "".join(
        f"{tag}_{n}_rest = Sub({tag}_{n}, {tag}_{n}_kept)\n{tag}_{n}_start = Div({tag}_{n}_rest, {tag}_two)\n"
        f"{tag}_{n}_end = Add({tag}_{n}_start, {tag}_{n}_kept)\n"
        for n in "hw"
    )
    lines += f"starts = Concat <axis = 0> ({tag}_h_start, {tag}_w_start)\n"
    lines += f"ends = Concat <axis = 0> ({tag}_h_end, {tag}_w_end)\n"
    return lines + f"framed = Slice(x, starts, ends, {tag}_axes)\n"


def _centered(layer: Layer, resize: Resize, shape: Shape) -> str:
    """Lines that cut the middle out of images as large as `size`, and crop and resize smaller ones."""
    axes = spatial_axes(layer)
    lines = integers("cut_axes", axes) + integers("cut_two", [2])
    for n, axis, length in zip("hw", axes, resize.size or (), strict=True):
        lines += f"cut_{n} = Shape <start = {axis}, end = {axis + 1}> (x)\n" + integers(f"cut_{n}_kept", [length])
        lines += f"cut_{n}_large = GreaterOrEqual(cut_{n}, cut_{n}_kept)\n"
    smaller, last = resized(layer, replace(resize, fit="crop"), shape).rsplit("\ny = ", 1)
    return (
        f"{lines}cut_large = And(cut_h_large, cut_w_large)\n"
        f"y = If (cut_large) <then_branch = large () => (framed) {{\n{_middle('cut')}}}, "
        f"else_branch = small () => (resized) {{\n{smaller}\nresized = {last}\n}}>"
    )


def _lengths(resize: Resize, position: int, axis: int, name: str, x: str) -> str:
    """Lines for the axis's old length, its new one, and the index of each new pixel: all are float32."""
    length = resize.lengths[position]
    if length is None:
        lines = f"{name}_shape = Shape <start = {axis}, end = {axis + 1}> ({x})\n"
        lines += f"{name}_cast = Cast <to = 1> ({name}_shape)\n"
        lines += f"{name}_none = Constant <value_ints = [0]> ()\n{name}_old = Squeeze({name}_cast, {name}_none)\n"
    else:
        lines = _single(f"{name}_old", length)
    if resize.size is not None:
        lines += _single(f"{name}_new", resize.size[position])
    else:
        assert resize.factors is not None
        lines += _single(f"{name}_factor", resize.factors[position]) + f"{name}_new = Mul({name}_old, {name}_factor)\n"
    lines += f"{name}_last = Sub({name}_old, one)\n{name}_out = Range(zero, {name}_new, one)\n"
    return lines + f"{name}_mid = Add({name}_out, half)\n{name}_scale = Div({name}_old, {name}_new)\n"


def _single(name: str, value: float) -> str:
    """A line for a float32 whatever the images are: what depends on such numbers alone is computed once, at loading."""
    return f"{name} = Constant <value_float = {float(value)!r}> ()\n"


def _nearest(name: str) -> str:
    return (
        f"{name}_at = Mul({name}_mid, {name}_scale)\n{name}_floor = Floor({name}_at)\n"
        f"{name}_min = Min({name}_floor, {name}_last)\n{name}_i = Cast <to = 7> ({name}_min)\n"
    )


def _few(resize: Resize) -> bool:
    """Whether a product with a matrix of weights takes less time than to gather each pixel's neighbours."""
    return all(length is not None and length <= _MOST for length in resize.lengths)


def _neighbours(name: str) -> str:
    """Lines for the pixels around each new one, and how far it is from the first; beyond the outer ones, these."""
    return (
        f"{name}_far = Mul({name}_mid, {name}_scale)\n{name}_at = Sub({name}_far, half)\n"
        f"{name}_floor = Floor({name}_at)\n{name}_part = Sub({name}_at, {name}_floor)\n{name}_ceil = Ceil({name}_at)\n"
        f"{name}_min = Max({name}_floor, zero)\n{name}_max = Min({name}_ceil, {name}_last)\n"
    )


def _bilinear(name: str, x: str, axis: int) -> str:
    behind = integers(f"{name}_behind", range(1, 4 - axis)) if axis < 3 else ""
    weight = f"Unsqueeze({name}_part, {name}_behind)" if behind else f"Identity({name}_part)"
    return _neighbours(name) + (
        f"{name}_lower = Cast <to = 7> ({name}_min)\n{name}_upper = Cast <to = 7> ({name}_max)\n"
        f"{name}_a = Gather <axis = {axis}> ({x}, {name}_lower)\n"
        f"{name}_b = Gather <axis = {axis}> ({x}, {name}_upper)\n"
        f"{behind}{name}_t32 = {weight}\n{name}_t = CastLike({name}_t32, {x})\n{name}_d = Sub({name}_b, {name}_a)\n"
        f"{name}_m = Mul({name}_d, {name}_t)\n{name}_y = Add({name}_a, {name}_m)\n"
    )


def _two_weights(name: str) -> str:
    """Lines for the matrix of the weights of the two neighbours."""
    lines = _neighbours(name) + f"{name}_rest = Sub(one, {name}_part)\n{name}_all = Range(zero, {name}_old, one)\n"
    lines += integers(f"{name}_behind", [1])
    for pixel, weight in (("min", "rest"), ("max", "part")):
        lines += f"{name}_{pixel}_column = Unsqueeze({name}_{pixel}, {name}_behind)\n"
        lines += f"{name}_{weight}_column = Unsqueeze({name}_{weight}, {name}_behind)\n"
        lines += f"{name}_is_{pixel} = Equal({name}_all, {name}_{pixel}_column)\n"
        lines += f"{name}_{pixel}_w = Where({name}_is_{pixel}, {name}_{weight}_column, zero)\n"
    return lines + f"{name}_w32 = Add({name}_min_w, {name}_max_w)\n{name}_w = CastLike({name}_w32, x)\n"


def _places(name: str, resize: Resize) -> str:
    """Lines for the distance of each old pixel from the place of each new one, in radii of the kernel's unit."""
    if resize.method == "bicubic" and not resize.antialias:  # its weights come from a table of 1024 steps a pixel
        at = (
            _single(f"{name}_steps", 1024)
            + f"{name}_far = Mul({name}_mid, {name}_scale)\n{name}_raw = Sub({name}_far, half)\n"
            f"{name}_floor = Floor({name}_raw)\n{name}_part = Sub({name}_raw, {name}_floor)\n"
            f"{name}_many = Mul({name}_part, {name}_steps)\n{name}_whole = Round({name}_many)\n"
            f"{name}_step = Div({name}_whole, {name}_steps)\n{name}_at = Add({name}_floor, {name}_step)\n"
            f"{name}_from = Range(zero, {name}_old, one)\n"
        )
    else:
        # By way of -1: of x * (1 / y) ONNX Runtime 1.31 makes x / y, which is another number.
        at = _single(f"{name}_minus", -1) + (
            f"{name}_up = Div({name}_new, {name}_old)\n{name}_down = Div({name}_minus, {name}_up)\n"
            f"{name}_inverse = Neg({name}_down)\n"
            f"{name}_at = Mul({name}_mid, {name}_inverse)\n"
            f"{name}_all = Range(zero, {name}_old, one)\n{name}_from = Add({name}_all, half)\n"
        )
    lines = at + integers(f"{name}_behind", [1]) + f"{name}_column = Unsqueeze({name}_at, {name}_behind)\n"
    lines += f"{name}_signed = Sub({name}_from, {name}_column)\n"
    if not resize.antialias:
        return lines + f"{name}_d = Abs({name}_signed)\n"
    return lines + (  # a kernel as wide as the pixels that become one
        f"{name}_wide = Max({name}_inverse, one)\n{name}_thin = Div(one, {name}_wide)\n"
        f"{name}_scaled = Mul({name}_signed, {name}_thin)\n{name}_d = Abs({name}_scaled)\n"
    )


def _kernel(name: str, resize: Resize) -> str:
    """Lines for the matrix of weights; those of the pixels that are there add up to 1."""
    n = name
    if resize.method == "bilinear":
        lines = f"{n}_less = Sub(one, {n}_d)\n{n}_k = Max({n}_less, zero)\n"
    elif resize.method == "bicubic":
        lines = _polynomial(f"{n}_near", f"{n}_d", (1.5, -2.5, 0.0, 1.0))
        lines += _polynomial(f"{n}_wing", f"{n}_d", (-0.5, 2.5, -4.0, 2.0))
        lines += _single(f"{n}_two", 2) + f"{n}_in1 = Less({n}_d, one)\n{n}_in2 = Less({n}_d, {n}_two)\n"
        lines += f"{n}_tail = Where({n}_in2, {n}_wing, zero)\n{n}_k = Where({n}_in1, {n}_near, {n}_tail)\n"
    else:
        lines = _single(f"{n}_pi", float(np.float32(np.pi))) + _single(f"{n}_r", _RADIUS[resize.method])
        lines += _single(f"{n}_tiny", 1e-3) + f"{n}_some = Max({n}_d, {n}_tiny)\n{n}_pix = Mul({n}_some, {n}_pi)\n"
        lines += f"{n}_pir = Div({n}_pix, {n}_r)\n{n}_sin = Sin({n}_pix)\n{n}_sinr = Sin({n}_pir)\n"
        lines += f"{n}_top = Mul({n}_sin, {n}_sinr)\n{n}_rtop = Mul({n}_top, {n}_r)\n{n}_sq = Mul({n}_pix, {n}_pix)\n"
        lines += f"{n}_curve = Div({n}_rtop, {n}_sq)\n{n}_out_of = Greater({n}_d, {n}_r)\n"
        lines += f"{n}_at0 = Greater({n}_d, {n}_tiny)\n{n}_whole_k = Where({n}_at0, {n}_curve, one)\n"
        lines += f"{n}_k = Where({n}_out_of, zero, {n}_whole_k)\n"
    return lines + (
        f"{n}_total = ReduceSum <keepdims = 1> ({n}_k, {n}_behind)\n{n}_w32 = Div({n}_k, {n}_total)\n"
        f"{n}_w = CastLike({n}_w32, x)\n"
    )


def _polynomial(name: str, x: str, factors: tuple[float, ...]) -> str:
    """Lines for a polynomial by Horner's rule, the highest power's factor first."""
    lines, value = _single(f"{name}0", factors[0]), f"{name}0"
    for i, factor in enumerate(factors[1:], 1):
        last = name if i == len(factors) - 1 else f"{name}{i}"
        lines += f"{name}{i}_x = Mul({value}, {x})\n" + _single(f"{name}{i}_c", factor)
        lines += f"{last} = Add({name}{i}_x, {name}{i}_c)\n"
        value = last
    return lines
