"""The rules of the layers that give images another size."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.places import Resize as Resized
from bridge.graph.bodies.places import exact_scales
from bridge.graph.bodies.resize import center_crop_of, resizing_of, up_sampling_of
from bridge.graph.layer import Shape
from bridge.torch_side.layers.functions_images import (
    bilinear,
    center_crop,
    fitted,
    nearest,
    resize_weights,
    stretched,
)
from bridge.torch_side.layers.modules_images import Resize
from bridge.torch_side.layers.space import channels_first_call, flat_pads, unless
from bridge.torch_side.writing.part import New, Part, literal, rule


@rule("UpSampling1D")
@rule("UpSampling2D")
@rule("UpSampling3D")
def up_sampling(layer: Layer, shapes: list[Shape]) -> Part:
    found = up_sampling_of(layer, shapes[0])
    if found.method != "nearest" and exact_scales(found) is None:
        return _resized(layer, found)
    factors = [float(factor) for factor in found.factors or ()]
    scale = factors[0] if len(set(factors)) == 1 else tuple(factors)
    options = unless("nearest", mode=found.method)
    return Part(New(nn.Upsample, scale_factor=scale, **options), call=channels_first_call(layer))


@rule("Resizing", note="bytes as `predict` treats them: not rounded")
def resizing(layer: Layer, shapes: list[Shape]) -> Part:
    return _resized(layer, resizing_of(layer, shapes[0]))


@rule("CenterCrop", note="smaller images are resized")
def center_crop_part(layer: Layer, shapes: list[Shape]) -> Part:
    found = center_crop_of(layer, shapes[0])
    if found.fit:
        return Part(call=channels_first_call(layer, f"center_crop({{x}}, {found.size})"), functions=(center_crop,))
    return _resized(layer, found)


def _resized(layer: Layer, resize: Resized) -> Part:
    if not resize.fit:
        return _interpolated(layer, resize, "{x}")
    options = f", pad=True, fill_value={literal(resize.fill)}" if resize.fit == "pad" else ""
    part = _interpolated(layer, resize, f"fitted({{x}}, {resize.size}{options})")
    return replace(part, functions=(*part.functions, fitted))


def _interpolated(layer: Layer, resize: Resized, x: str) -> Part:
    if any(size < 0 for pads in resize.frame for size in pads):
        cuts = ", ".join(f"{-before or ''}:{after or ''}" for before, after in resize.frame)
        x = f"{{x}}[:, :, {cuts}]"
    elif any(size for pads in resize.frame for size in pads):
        value = f", value={literal(resize.fill)}" if resize.fill else ""
        x = f"F.pad({{x}}, {flat_pads(resize.frame)}{value})"
    if resize.method == "none":
        return Part(call=channels_first_call(layer, x))
    if resize.method == "nearest":
        return Part(call=channels_first_call(layer, f"nearest({x}, {resize.size})"), functions=(nearest,))
    if resize.method == "bilinear" and not resize.antialias:
        if exact_scales(resize):
            call = f'F.interpolate({x}, size={resize.size}, mode="bilinear")'
            return Part(call=channels_first_call(layer, call))
        if resize.size is None:
            call = f"stretched({x}, {resize.factors})"
            return Part(call=channels_first_call(layer, call), functions=(stretched,))
        return Part(call=channels_first_call(layer, f"bilinear({x}, {resize.size})"), functions=(bilinear,))
    known = None if None in resize.lengths else resize.lengths
    options = unless(None, size=resize.size, factors=resize.factors, old=known) | unless(
        False, antialias=resize.antialias
    )
    call = channels_first_call(layer, f"{{self}}({x})")
    return Part(New(Resize, resize.method, **options), call=call, functions=(resize_weights,))
