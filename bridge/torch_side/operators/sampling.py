"""Operators that look at images between their pixels: resizing, grids, regions, boxes."""

from __future__ import annotations

import numpy as np

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import (
    Known,
    integer,
    integers,
    number,
    operator,
    present,
    scalar,
    sizes,
    word,
)
from bridge.torch_side.operators.functions import sampling as functions
from bridge.torch_side.writing.part import Part, literal

_PLACES = ("pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize", "half_pixel_symmetric")


@operator("Resize", "Upsample")
def resize(node: Node, known: Known) -> Part:
    old = node.kind == "Upsample"  # of opset 9: as Resize of opset 10
    mode = word(node, "mode", "nearest", "linear", "cubic", "bilinear")
    mode = "linear" if mode == "bilinear" else mode
    ten = old or len(node.inputs) == 2  # Resize of opset 10 has no region
    place = "asymmetric" if ten else word(node, "coordinate_transformation_mode", "half_pixel", *_PLACES)
    nearest = word(node, "nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    nearest = "floor" if ten else nearest
    policy = word(node, "keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller")
    region = _numbers(node, known, 1) if not ten and place == "tf_crop_and_resize" else "()"
    scales = _numbers(node, known, 1 if ten else 2)
    wanted = sizes(node, known, 3) if present(node, 3) else "None"
    if wanted != "None":
        scales = "None"
    axes = integers(node, "axes")
    words = f'"{mode}", "{place}", "{nearest}", {number(node, "cubic_coeff_a", -0.75)!r}'
    flags = f"{bool(integer(node, 'antialias', 0))}, {bool(integer(node, 'exclude_outside', 0))}"
    more = f'{flags}, {number(node, "extrapolation_value", 0.0)!r}, "{policy}"'
    call = f"resize({{0}}, {literal(axes)}, {scales}, {wanted}, {region}, {words}, {more})"
    return Part(call=call, functions=(functions.resize,))


def _numbers(node: Node, known: Known, index: int) -> str:
    """A vector of numbers as text."""
    if not present(node, index):
        return "None"
    value = known[index]
    if value is None:
        return f"{{{index}}}.tolist()"
    if not value.size:
        return "None"
    return literal(tuple(float(v) for v in np.ravel(value)))  # exactly: between two pixels a last bit decides


@operator("GridSample")
def grid_sample(node: Node, known: Known) -> Part:
    mode = word(node, "mode", "bilinear", "linear", "nearest", "bicubic", "cubic")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    padding = word(node, "padding_mode", "zeros", "border", "reflection")
    aligned = bool(integer(node, "align_corners", 0))
    return Part(call=f'F.grid_sample({{0}}, {{1}}, mode="{mode}", padding_mode="{padding}", align_corners={aligned})')


@operator("AffineGrid")
def affine_grid(node: Node, known: Known) -> Part:
    aligned = bool(integer(node, "align_corners", 0))
    return Part(call=f"F.affine_grid({{0}}, {sizes(node, known, 1)}, align_corners={aligned})")


@operator("CenterCropPad")
def crop_or_pad(node: Node, known: Known) -> Part:
    axes = literal(integers(node, "axes"))
    return Part(call=f"crop_or_pad({{0}}, {sizes(node, known, 1)}, {axes})", functions=(functions.crop_or_pad,))


@operator("RoiAlign")
def align_regions(node: Node, known: Known) -> Part:
    place = word(node, "coordinate_transformation_mode", "half_pixel", "output_half_pixel")
    size = f"{integer(node, 'output_height', 1)}, {integer(node, 'output_width', 1)}"
    ratio, scale = integer(node, "sampling_ratio", 0), number(node, "spatial_scale", 1.0)
    largest = word(node, "mode", "avg", "max") == "max"
    shift = 0.5 if place == "half_pixel" else 0.0
    call = f"align_regions({{0}}, {{1}}, {{2}}, {size}, {ratio}, {scale!r}, {shift}, {largest})"
    return Part(call=call, functions=(functions.align_regions,))


@operator("NonMaxSuppression")
def suppressed(node: Node, known: Known) -> Part:
    texts = []
    for index, absent in ((2, "0"), (3, "0.0"), (4, "None")):
        value = known[index] if present(node, index) else None
        if not present(node, index):
            texts.append(absent)
        elif value is None:
            texts.append(f"{{{index}}}.item()")
        elif value.size != 1:
            raise Refused("NonMaxSuppression with several thresholds")
        else:
            texts.append(scalar(value))
    by_center = bool(integer(node, "center_point_box", 0))
    return Part(call=f"suppressed({{0}}, {{1}}, {', '.join(texts)}, {by_center})", functions=(functions.suppressed,))
