"""The rules of the convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.space import Window, channels_of, rank_of, space, transposed_crops, window
from bridge.graph.layer import Shape
from bridge.torch_side.layers.functions import same_pad
from bridge.torch_side.layers.modules_separable import SeparableConv1d, SeparableConv2d
from bridge.torch_side.layers.space import channels_first_call, flat_pads, scalar, unless
from bridge.torch_side.writing.part import New, Part, Take, rule

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_SEPARABLE = {1: SeparableConv1d, 2: SeparableConv2d}


@rule("Conv1D")
@rule("Conv2D")
@rule("Conv3D")
def convolution(layer: Layer, shapes: list[Shape]) -> Part:
    rank, groups = rank_of(layer), int(layer.config.get("groups", 1))
    *_, channels, filters = layer.weights["kernel"].shape
    weights = {"weight": Take("kernel", (rank + 1, rank, *range(rank)))}
    return _part(layer, shapes[0], _CONV[rank], (channels * groups, filters), weights, groups)


@rule("DepthwiseConv1D")
@rule("DepthwiseConv2D")
def depthwise_convolution(layer: Layer, shapes: list[Shape]) -> Part:
    rank, channels = rank_of(layer), channels_of(layer, shapes[0])
    filters = channels * layer.weights["kernel"].shape[-1]
    weights = {"weight": _depthwise("kernel", rank)}
    return _part(layer, shapes[0], _CONV[rank], (channels, filters), weights, channels)


@rule("SeparableConv1D")
@rule("SeparableConv2D")
def separable_convolution(layer: Layer, shapes: list[Shape]) -> Part:
    rank = rank_of(layer)
    *_, channels, multiplier = layer.weights["depthwise_kernel"].shape
    filters = layer.weights["pointwise_kernel"].shape[-1]
    weights = {
        "depthwise.weight": _depthwise("depthwise_kernel", rank),
        "pointwise.weight": Take("pointwise_kernel", (rank + 1, rank, *range(rank))),
    }
    sizes = (channels, filters, multiplier)
    return _part(layer, shapes[0], _SEPARABLE[rank], sizes, weights, 1, bias="pointwise.bias")


@rule("Conv1DTranspose")
@rule("Conv2DTranspose")
@rule("Conv3DTranspose")
def transposed_convolution(layer: Layer, shapes: list[Shape]) -> Part:
    space(layer, shapes[0])  # refuses another rank
    rank, config, crops = rank_of(layer), layer.config, transposed_crops(layer)
    *_, filters, channels = layer.weights["kernel"].shape
    weights = {"weight": Take("kernel", (rank + 1, rank, *range(rank)))}
    # torch cuts as much before as after and adds behind; where Keras cuts one more behind, a slice does it
    padding = scalar(before for before, _ in crops)
    added = [before - after for before, after in crops]
    options = unless(1, stride=scalar(config["strides"])) | unless(0, padding=padding)
    options |= unless(0, output_padding=scalar(max(more, 0) for more in added))
    options |= unless(1, dilation=scalar(config["dilation_rate"]))
    if "bias" in layer.weights:
        weights["bias"] = Take("bias")
    else:
        options["bias"] = False
    module = New(_TRANSPOSED[rank], channels, filters, scalar(config["kernel_size"]), **options)
    cut = ", ".join(f":{more}" if more < 0 else ":" for more in added)
    after = f"[:, :, {cut}]" if min(added) < 0 else ""
    return Part(module, weights, channels_first_call(layer, after=after))


def _part(
    layer: Layer,
    shape: Shape,
    kind: type[nn.Module],
    sizes: tuple[int, ...],
    weights: dict[str, Take],
    groups: int,
    bias: str = "bias",
) -> Part:
    found = window(layer, shape)
    padding, call, used = _padding(found)
    options = unless(1, stride=scalar(found.strides)) | unless(0, padding=padding)
    options |= unless(1, dilation=scalar(found.dilations), groups=groups)
    if "bias" in layer.weights:
        weights = weights | {bias: Take("bias")}
    else:
        options["bias"] = False
    module = New(kind, *sizes, scalar(found.size), **options)
    return Part(module, weights, channels_first_call(layer, call), used)


def _padding(found: Window) -> tuple[int | tuple[int, ...], str, tuple[Callable[..., Any], ...]]:
    """What torch's `padding` can say of it, else a call that pads before, and the functions which that needs."""
    if None in found.pads:  # with strides it depends on the input's size
        return 0, f"{{self}}(same_pad({{x}}, {found.spans}, {found.strides}))", (same_pad,)
    if all(before == after for before, after in found.known):
        return scalar(before for before, _ in found.known), "{self}({x})", ()
    return 0, f"{{self}}(F.pad({{x}}, {flat_pads(found.known)}))", ()


def _depthwise(weight: str, rank: int) -> Take:
    """(*space, in, multiplier) -> (in * multiplier, 1, *space)."""
    return Take(weight, ((rank, rank + 1), (), *range(rank)))
