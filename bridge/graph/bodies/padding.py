"""The bodies of the layers that pad, crop or drop along the spatial axes."""

from __future__ import annotations

from typing import Any

from bridge.graph.bodies.core import identity
from bridge.graph.bodies.space import Pads, onnx_pads, rank_of, space, spatial_axes
from bridge.graph.body import body, integers, number
from bridge.graph.layer import Layer, Shape


@body("ZeroPadding1D")
@body("ZeroPadding2D")
@body("ZeroPadding3D")
def zero_padding(layer: Layer, shapes: list[Shape]) -> str:
    space(layer, shapes[0])  # refuses another rank
    padding = dict(zip(spatial_axes(layer), pairs(layer, "padding"), strict=True))
    axes = range(len(shapes[0]))
    # With its axes named, ONNX Runtime 1.31 does not merge the Pad into a MaxPool, which would make -inf of the zeros.
    # All of them, because it takes pads to be those of all axes when it moves a Transpose past the Pad.
    return (
        integers("pads", onnx_pads(padding.get(axis, (0, 0)) for axis in axes))
        + integers("axes", axes)
        + number("zero", 0)
        + "y = Pad(x, pads, zero, axes)"
    )


@body("Cropping1D")
@body("Cropping2D")
@body("Cropping3D")
def cropping(layer: Layer, shapes: list[Shape]) -> str:
    space(layer, shapes[0])  # refuses another rank
    cuts = pairs(layer, "cropping")
    return (
        integers("starts", [before for before, _ in cuts])
        + integers("ends", [-after or 2**31 - 1 for _, after in cuts])
        + integers("axes", spatial_axes(layer))
        + "y = Slice(x, starts, ends, axes)"
    )


def pairs(layer: Layer, option: str) -> list[Pads]:
    """What a layer adds or cuts before and after each spatial axis. 1D layers list the two numbers alone."""
    value: Any = layer.config[option]
    listed = [value] if rank_of(layer) == 1 else value
    return [(int(before), int(after)) for before, after in listed]


body("SpatialDropout1D")(identity)
body("SpatialDropout2D")(identity)
body("SpatialDropout3D")(identity)
