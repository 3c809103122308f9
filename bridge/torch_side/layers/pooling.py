"""The rules of the pooling layers."""

from __future__ import annotations

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.pooling import adaptive_size
from bridge.graph.bodies.space import Window, rank_of, spatial_axes, window
from bridge.graph.layer import Shape
from bridge.torch_side.layers.functions import average_padded, average_within, mean_kept, same_pad
from bridge.torch_side.layers.space import channels_first_call, flat_pads, scalar, unless
from bridge.torch_side.writing.part import New, Part, rule

_MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_ADAPTIVE_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
_ADAPTIVE_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


@rule("MaxPooling1D")
@rule("MaxPooling2D")
@rule("MaxPooling3D")
def max_pooling(layer: Layer, shapes: list[Shape]) -> Part:
    found, kind = window(layer, shapes[0], "pool_size"), _MAX[rank_of(layer)]
    if _by_options(found):
        return Part(_pool(kind, found, _options(found)), call=channels_first_call(layer))
    lowest = 'float("-inf")'
    if None in found.pads:
        padded = f"same_pad({{x}}, {found.size}, {found.strides}, {lowest})"
        return Part(_pool(kind, found, {}), {}, channels_first_call(layer, f"{{self}}({padded})"), (same_pad,))
    padded = f"F.pad({{x}}, {flat_pads(found.known)}, value={lowest})"
    return Part(_pool(kind, found, {}), call=channels_first_call(layer, f"{{self}}({padded})"))


@rule("AveragePooling1D", note="padding never counts")
@rule("AveragePooling2D")
@rule("AveragePooling3D")
def average_pooling(layer: Layer, shapes: list[Shape]) -> Part:
    found, kind = window(layer, shapes[0], "pool_size"), _AVERAGE[rank_of(layer)]
    if _by_options(found):
        options = _options(found)
        if options:  # there is padding to leave out
            options["count_include_pad"] = False
        if "padding" in options:
            call = channels_first_call(layer, "average_padded({self}, {x})")
            return Part(_pool(kind, found, options), call=call, functions=(average_padded,))
        return Part(_pool(kind, found, options), call=channels_first_call(layer))
    call = f"average_within({{self}}, {{x}}, {found.size}, {found.strides})"
    return Part(_pool(kind, found, {}), {}, channels_first_call(layer, call), (same_pad, average_within))


def _by_options(found: Window) -> bool:
    """Whether torch's padding, the same on both sides, and its ceil_mode can say what Keras pads."""
    pairs = zip(found.pads, found.strides, strict=True)
    return all(pad is not None and (pad[0] == pad[1] or stride > 1) for pad, stride in pairs)


def _options(found: Window) -> dict[str, object]:
    """ceil_mode lets the last window hang over the end by what Keras pads more there."""
    padding = scalar(before for before, _ in found.known)
    return unless(0, padding=padding) | unless(False, ceil_mode=any(a != b for a, b in found.known))


def _pool(kind: type[nn.Module], found: Window, options: dict[str, object]) -> New:
    strides = {} if found.strides == found.size else {"stride": scalar(found.strides)}
    return New(kind, scalar(found.size), **strides, **options)


def _global(method: str, layer: Layer) -> Part:
    axes = spatial_axes(layer)
    listed = axes[0] if len(axes) == 1 else tuple(axes)
    return Part(call=f"{method}({listed}{', keepdim=True' if layer.config['keepdims'] else ''})")


@rule("GlobalMaxPooling1D")
@rule("GlobalMaxPooling2D")
@rule("GlobalMaxPooling3D")
def global_max_pooling(layer: Layer, shapes: list[Shape]) -> Part:
    return _global("{0}.amax", layer)


@rule("GlobalAveragePooling1D")
@rule("GlobalAveragePooling2D")
@rule("GlobalAveragePooling3D")
def global_average_pooling(layer: Layer, shapes: list[Shape]) -> Part:
    if len(shapes) == 1:
        return _global("{0}.mean", layer)
    keepdim = ", keepdim=True" if layer.config["keepdims"] else ""
    call = f"mean_kept({{0}}, {{1}}, {spatial_axes(layer)[0]}{keepdim})"
    return Part(call=call, functions=(mean_kept,))


@rule("AdaptiveMaxPooling1D")
@rule("AdaptiveMaxPooling2D")
@rule("AdaptiveMaxPooling3D")
@rule("AdaptiveAveragePooling1D")
@rule("AdaptiveAveragePooling2D")
@rule("AdaptiveAveragePooling3D")
def adaptive_pooling(layer: Layer, shapes: list[Shape]) -> Part:
    modules = _ADAPTIVE_MAX if "Max" in layer.kind else _ADAPTIVE_AVERAGE
    _, size = adaptive_size(layer, shapes[0])
    return Part(New(modules[rank_of(layer)], scalar(size)), call=channels_first_call(layer))
