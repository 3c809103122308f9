"""Lines of ONNX that give images another size.

A resize is one sum along the height and one along the width. Where a kernel is wider than two pixels, that is a matrix
of weights for each of the two axes, (new length, old length), computed from the two lengths by the body itself: they
may be unknown, and where they are known ONNX Runtime computes the matrix once, when it loads the model.
Source of the arithmetic: TensorFlow's resize_bilinear_op, resize_bicubic_op, scale_and_translate_op, sampling_kernels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bridge.graph.bodies.neighbours import few_channels, gathered, lengths
from bridge.graph.bodies.places import Resize, alike_lines, exact_scales, near, same, single, whole_size
from bridge.graph.bodies.space import channels_last, in_channels_first, onnx_pads, spatial_axes
from bridge.graph.body import integers, number
from bridge.graph.layer import Layer, Shape

_RADIUS = {"lanczos3": 3, "lanczos5": 5}
_LINEAR = 'mode = "linear", coordinate_transformation_mode = "half_pixel"'
_NEAREST = 'mode = "nearest", coordinate_transformation_mode = "half_pixel", nearest_mode = "round_prefer_ceil"'
METHODS = ("nearest", "bilinear", "bicubic", *_RADIUS)


def resized(layer: Layer, resize: Resize, shape: Shape) -> str:
    """Lines that make `y` of `x`, images of that shape."""
    if resize.fit == "center":
        return _centered(layer, resize, shape)
    lines, x = _framed(layer, resize)
    if resize.method == "none":
        return f"{lines}y = Identity({x})"
    axes, plain = spatial_axes(layer), resize.method == "bilinear" and not resize.antialias
    if scales := exact_scales(resize):
        return lines + scaled(layer, shape, x, scales, _LINEAR)
    if not plain and resize.method != "nearest":
        return lines + _weighted(layer, resize, x)
    how = _LINEAR if plain else _NEAREST
    quick = plain or few_channels(layer, resize, shape)
    if quick and (size := whole_size(resize)) and (near(resize) if plain else same(resize)):
        return lines + _sized(layer, shape, x, size, how)
    own = gathered(layer, resize, shape, x)
    if quick and resize.size and (alike := alike_lines(resize, axes, x)):
        return lines + alike + _either("alike", _sized(layer, shape, x, resize.size, how), own)
    return lines + own


def _weighted(layer: Layer, resize: Resize, x: str) -> str:
    """Lines that make y of x by a matrix of weights for each axis."""
    lines = single("zero", 0) + single("one", 1) + single("half", 0.5)
    for position, (axis, name) in enumerate(zip(spatial_axes(layer), ("rows", "columns"), strict=True)):
        lines += lengths(resize, position, axis, name, x) + _places(name, resize) + _kernel(name, resize)
    product = "across = Transpose (columns_w)\ntall = MatMul(rows_w, {x})\n{y} = MatMul(tall, across)"
    return lines + in_channels_first(layer, product, x)


def _either(condition: str, yes: str, no: str) -> str:
    """Lines that make `y` as one of two branches does."""
    then, otherwise = (f"\n{lines}".rsplit("\ny = ", 1) for lines in (yes, no))
    return (
        f"y = If ({condition}) <then_branch = yes () => (y_yes) {{{then[0]}\ny_yes = {then[1]}\n}}, "
        f"else_branch = no () => (y_no) {{{otherwise[0]}\ny_no = {otherwise[1]}\n}}>"
    )


def scaled(layer: Layer, shape: Shape, x: str, scales: tuple[float, ...], how: str) -> str:
    """Lines that make y of x by ONNX's Resize to that many times its size."""
    behind = channels_last(layer) and not _in_front(layer, shape, how)
    listed = [1.0, *map(float, scales), 1.0] if behind else [1.0, 1.0, *map(float, scales)]
    lines = f"scales = Constant <value_floats = {listed}> ()\n{{y}} = Resize <{how}> ({{x}}, , scales)"
    return _placed(layer, shape, x, how, lines)


def _sized(layer: Layer, shape: Shape, x: str, size: tuple[int, ...], how: str) -> str:
    if not channels_last(layer) or how != _LINEAR or _alone(layer, shape):
        axes = [2, 3] if _alone(layer, shape) else spatial_axes(layer)
        lines = integers("sizes", size) + f"{{y}} = Resize <{how}, axes = {axes}> ({{x}}, , , sizes)"
        return _placed(layer, shape, x, how, lines)
    # all sizes, because of axes ONNX Runtime 1.31 loses the sizes when it takes the Transpose behind the Resize
    lines = f"images = Shape <start = 0, end = 1> ({x})\n" + integers("plane", size)
    lines += integers("depth", [shape[-1]]) if shape[-1] else f"depth = Shape <start = 3, end = 4> ({x})\n"
    lines += f"sizes = Concat <axis = 0> (images, depth, plane)\n{{y}} = Resize <{how}> ({{x}}, , , sizes)"
    return _placed(layer, shape, x, how, lines)


def _placed(layer: Layer, shape: Shape, x: str, how: str, lines: str) -> str:
    """Lines with {x} and {y} as lines from x to y, with the channels in front where they have to be."""
    if not _in_front(layer, shape, how):
        return lines.format(x=x, y="y")
    if not _alone(layer, shape):
        return in_channels_first(layer, lines, x)
    front, behind = integers("front", [1]), integers("behind", [-1])  # which moves nothing
    return (
        f"{front}{behind}bare = Squeeze({x}, behind)\nfirst = Unsqueeze(bare, front)\n"
        f"{lines.format(x='first', y='last')}\nflat = Squeeze(last, front)\ny = Unsqueeze(flat, behind)"
    )


def _in_front(layer: Layer, shape: Shape, how: str) -> bool:
    """Whether channels that are behind are in front for a Resize: a single one is resized faster there.

    On CUDA ONNX Runtime 1.31 interpolates between the last two axes, whatever the scales are: channels behind are
    resized wrongly there, without an error. On the CPU it takes the Transposes away.
    """
    return channels_last(layer) and (_alone(layer, shape) or how == _LINEAR)


def _alone(layer: Layer, shape: Shape) -> bool:
    """Whether images have one channel, behind: in front, where it costs nothing to move, they are resized faster."""
    return channels_last(layer) and shape[-1] == 1


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


def _places(name: str, resize: Resize) -> str:
    """Lines for the distance of each old pixel from the place of each new one, in radii of the kernel's unit."""
    if resize.method == "bicubic" and not resize.antialias:  # its weights come from a table of 1024 steps a pixel
        at = (
            single(f"{name}_steps", 1024)
            + f"{name}_far = Mul({name}_mid, {name}_scale)\n{name}_raw = Sub({name}_far, half)\n"
            f"{name}_floor = Floor({name}_raw)\n{name}_part = Sub({name}_raw, {name}_floor)\n"
            f"{name}_many = Mul({name}_part, {name}_steps)\n{name}_whole = Round({name}_many)\n"
            f"{name}_step = Div({name}_whole, {name}_steps)\n{name}_at = Add({name}_floor, {name}_step)\n"
            f"{name}_from = Range(zero, {name}_old, one)\n"
        )
    else:
        # By way of -1: of x * (1 / y) ONNX Runtime 1.31 makes x / y, which is another number.
        at = single(f"{name}_minus", -1) + (
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
        lines += single(f"{n}_two", 2) + f"{n}_in1 = Less({n}_d, one)\n{n}_in2 = Less({n}_d, {n}_two)\n"
        lines += f"{n}_tail = Where({n}_in2, {n}_wing, zero)\n{n}_k = Where({n}_in1, {n}_near, {n}_tail)\n"
    else:
        lines = single(f"{n}_pi", float(np.float32(np.pi))) + single(f"{n}_r", _RADIUS[resize.method])
        lines += single(f"{n}_tiny", 1e-3) + f"{n}_some = Max({n}_d, {n}_tiny)\n{n}_pix = Mul({n}_some, {n}_pi)\n"
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
    lines, value = single(f"{name}0", factors[0]), f"{name}0"
    for i, factor in enumerate(factors[1:], 1):
        last = name if i == len(factors) - 1 else f"{name}{i}"
        lines += f"{name}{i}_x = Mul({value}, {x})\n" + single(f"{name}{i}_c", factor)
        lines += f"{last} = Add({name}{i}_x, {name}{i}_c)\n"
        value = last
    return lines
