"""The bodies of the pooling layers."""

from __future__ import annotations

from bridge.graph.body import body, integers, number
from bridge.graph.layer import Layer, Shape
from bridge.graph.masked import wide_mask
from bridge.graph.space import in_channels_first, space, spatial_axes, window


@body("MaxPooling1D")
@body("MaxPooling2D")
@body("MaxPooling3D")
def max_pooling(layer: Layer, shapes: list[Shape]) -> str:
    """The largest value of each window; what padding="same" adds never counts."""
    found = window(layer, shapes[0], "pool_size")
    return in_channels_first(layer, f"{{y}} = MaxPool <{found.attributes}> ({{x}})")


@body("AveragePooling1D")
@body("AveragePooling2D")
@body("AveragePooling3D")
def average_pooling(layer: Layer, shapes: list[Shape]) -> str:
    """The mean of each window's values; what padding="same" adds never counts."""
    found = window(layer, shapes[0], "pool_size")
    return in_channels_first(layer, f"{{y}} = AveragePool <{found.attributes}, count_include_pad = 0> ({{x}})")


def _global(operator: str, layer: Layer, shapes: list[Shape]) -> str:
    space(layer, shapes[0])  # refuses another rank
    kept = int(bool(layer.config["keepdims"]))
    return integers("axes", spatial_axes(layer)) + f"y = {operator} <keepdims = {kept}> (x, axes)"


@body("GlobalMaxPooling1D")
@body("GlobalMaxPooling2D")
@body("GlobalMaxPooling3D")
def global_max_pooling(layer: Layer, shapes: list[Shape]) -> str:
    """The largest value of each channel."""
    return _global("ReduceMax", layer, shapes)


@body("GlobalAveragePooling1D")
@body("GlobalAveragePooling2D")
@body("GlobalAveragePooling3D")
def global_average_pooling(layer: Layer, shapes: list[Shape]) -> str:
    """The mean of each channel; of the steps that a mask keeps, if there is one."""
    if len(shapes) == 1:
        return _global("ReduceMean", layer, shapes)
    space(layer, shapes[0])  # refuses another rank
    kept, (axis,) = int(bool(layer.config["keepdims"])), spatial_axes(layer)
    return (
        wide_mask("kept", "x1", 3 - axis)
        + integers("axes", [axis])
        + number("zero", 0, "x0")
        + "given = Where(kept, x0, zero)\nones = CastLike(kept, x0)\n"
        + f"sum = ReduceSum <keepdims = {kept}> (given, axes)\ncount = ReduceSum <keepdims = {kept}> (ones, axes)\n"
        + "y = Div(sum, count)"
    )
