"""Lines of ONNX that gather the pixels from which a nearest or bilinear resize makes each new one."""

from __future__ import annotations

from bridge.graph.bodies.places import Resize, single
from bridge.graph.bodies.space import channels_last, spatial_axes
from bridge.graph.body import integers
from bridge.graph.layer import Layer, Shape

# Channels that stand together; so many are gathered faster pixel by pixel than turned, gathered and turned back
_MANY = {"nearest": 8, "bilinear": 16}


def few_channels(layer: Layer, resize: Resize, shape: Shape) -> bool:
    """Whether so few numbers stand together that to gather them one pixel of a column after the other takes long."""
    many = _MANY[resize.method]
    return not channels_last(layer) or (shape[-1] or many) < many


def gathered(layer: Layer, resize: Resize, shape: Shape, x: str) -> str:
    """Lines that make y of x: rows first, then columns.

    Of few channels the columns are made rows meanwhile: whole rows are copied and weighted at once.
    """
    rows, columns = spatial_axes(layer)
    lines = single("zero", 0) + single("one", 1) + single("half", 0.5)
    lines += lengths(resize, 0, rows, "rows", x) + lengths(resize, 1, columns, "columns", x)
    take = _nearest if resize.method == "nearest" else _bilinear
    lines += take("rows", x, rows, "high")
    if not few_channels(layer, resize, shape):
        return lines + take("columns", "high", columns, "y").rstrip()
    turns = [0, 2, 3, 1], [0, 3, 1, 2]
    there, back = turns if channels_last(layer) else turns[::-1]
    lines += f"turned = Transpose <perm = {there}> (high)\n" + take("columns", "turned", 1, "wide")
    return f"{lines}y = Transpose <perm = {back}> (wide)"


def lengths(resize: Resize, position: int, axis: int, name: str, x: str) -> str:
    """Lines for the axis's old length, its new one, and the index of each new pixel: all are float32."""
    length = resize.lengths[position]
    if length is None:
        lines = f"{name}_shape = Shape <start = {axis}, end = {axis + 1}> ({x})\n"
        lines += f"{name}_cast = Cast <to = 1> ({name}_shape)\n"
        lines += f"{name}_none = Constant <value_ints = [0]> ()\n{name}_old = Squeeze({name}_cast, {name}_none)\n"
    else:
        lines = single(f"{name}_old", length)
    if resize.size is not None:
        lines += single(f"{name}_new", resize.size[position])
    else:
        assert resize.factors is not None
        lines += single(f"{name}_factor", resize.factors[position]) + f"{name}_new = Mul({name}_old, {name}_factor)\n"
    lines += f"{name}_last = Sub({name}_old, one)\n{name}_out = Range(zero, {name}_new, one)\n"
    return lines + f"{name}_mid = Add({name}_out, half)\n{name}_scale = Div({name}_old, {name}_new)\n"


def _nearest(name: str, x: str, axis: int, y: str) -> str:
    return (
        f"{name}_at = Mul({name}_mid, {name}_scale)\n{name}_floor = Floor({name}_at)\n"
        f"{name}_min = Min({name}_floor, {name}_last)\n{name}_i = Cast <to = 7> ({name}_min)\n"
        f"{y} = Gather <axis = {axis}> ({x}, {name}_i)\n"
    )


def _bilinear(name: str, x: str, axis: int, y: str) -> str:
    """Lines for the pixels around each new one, and how far it is from the first; beyond the outer ones, these."""
    behind = integers(f"{name}_behind", range(1, 4 - axis)) if axis < 3 else ""
    weight = f"Unsqueeze({name}_part, {name}_behind)" if behind else f"Identity({name}_part)"
    return (
        f"{name}_far = Mul({name}_mid, {name}_scale)\n{name}_at = Sub({name}_far, half)\n"
        f"{name}_floor = Floor({name}_at)\n{name}_part = Sub({name}_at, {name}_floor)\n{name}_ceil = Ceil({name}_at)\n"
        f"{name}_min = Max({name}_floor, zero)\n{name}_max = Min({name}_ceil, {name}_last)\n"
        f"{name}_lower = Cast <to = 7> ({name}_min)\n{name}_upper = Cast <to = 7> ({name}_max)\n"
        f"{name}_a = Gather <axis = {axis}> ({x}, {name}_lower)\n"
        f"{name}_b = Gather <axis = {axis}> ({x}, {name}_upper)\n"
        f"{behind}{name}_t32 = {weight}\n{name}_t = CastLike({name}_t32, {x})\n{name}_d = Sub({name}_b, {name}_a)\n"
        f"{name}_m = Mul({name}_d, {name}_t)\n{y} = Add({name}_a, {name}_m)\n"
    )
