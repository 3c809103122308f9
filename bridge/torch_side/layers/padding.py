"""The rules of the layers that pad, crop or drop along the spatial axes."""

from __future__ import annotations

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.padding import pairs
from bridge.graph.bodies.space import channels_last, rank_of
from bridge.graph.layer import Shape
from bridge.torch_side.layers.space import channels_first_call, flat_pads
from bridge.torch_side.writing.part import New, Part, rule

_PAD = {1: nn.ZeroPad1d, 2: nn.ZeroPad2d, 3: nn.ZeroPad3d}
_DROP = {1: nn.Dropout1d, 2: nn.Dropout2d, 3: nn.Dropout3d}


@rule("ZeroPadding1D")
@rule("ZeroPadding2D")
@rule("ZeroPadding3D")
def zero_padding(layer: Layer, shapes: list[Shape]) -> Part:
    module = New(_PAD[rank_of(layer)], flat_pads(pairs(layer, "padding")))
    return Part(module, call=channels_first_call(layer))


@rule("Cropping1D")
@rule("Cropping2D")
@rule("Cropping3D")
def cropping(layer: Layer, shapes: list[Shape]) -> Part:
    listed = [f"{before or ''}:{-after or ''}" for before, after in pairs(layer, "cropping")]
    before = ":, " if channels_last(layer) else ":, :, "
    return Part(call=f"{{0}}[{before}{', '.join(listed)}]")


@rule("SpatialDropout1D")
@rule("SpatialDropout2D")
@rule("SpatialDropout3D")
def spatial_dropout(layer: Layer, shapes: list[Shape]) -> Part:
    """Whole channels are dropped."""
    return Part(New(_DROP[rank_of(layer)], layer.config["rate"]), call=channels_first_call(layer))
