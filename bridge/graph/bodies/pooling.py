"""The bodies of the pooling layers."""

from __future__ import annotations

from bridge.graph.bodies.masks import wide_mask
from bridge.graph.bodies.space import in_channels_first, rank_of, space, spatial_axes, window
from bridge.graph.body import Refused, body, integers, number, numbers
from bridge.graph.layer import Layer, Shape


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


def adaptive_size(layer: Layer, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lengths of the spatial axes and what an adaptive pooling makes of them."""
    lengths = tuple(length for length in space(layer, shape) if length is not None)
    if len(lengths) < rank_of(layer):
        raise Refused("the size of its input is not known, which Keras's adaptive pooling needs")
    size = layer.config["output_size"]
    return lengths, tuple(map(int, size if isinstance(size, list | tuple) else [size] * len(lengths)))


def _adaptive(layer: Layer, shapes: list[Shape], mean: bool) -> str:
    """Each window gathered along one axis after the other; windows of unequal lengths are filled up to the longest.

    Window i of n is from floor(i * length / n) to ceil((i + 1) * length / n).
    """
    lines, x = "", "x"
    for axis, length, size in zip(spatial_axes(layer), *adaptive_size(layer, shapes[0]), strict=True):
        windows = [range(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
        longest = max(map(len, windows))
        places = [place for window in windows for place in [*window, *[window[-1]] * (longest - len(window))]]
        name = f"a{axis}"
        lines += integers(f"{name}_flat", places) + integers(f"{name}_shape", [size, longest])
        lines += f"{name}_places = Reshape({name}_flat, {name}_shape)\n"
        lines += f"{name}_windows = Gather <axis = {axis}> ({x}, {name}_places)\n" + integers(
            f"{name}_axis", [axis + 1]
        )
        if mean:
            weights = [1 / len(w) if i < len(w) else 0.0 for w in windows for i in range(longest)]
            behind = [1] * (len(shapes[0]) - axis - 1)
            lines += numbers(f"{name}_each", weights) + integers(f"{name}_wide", [size, longest, *behind])
            lines += f"{name}_weights = Reshape({name}_each, {name}_wide)\n"
            lines += f"{name}_shares = Mul({name}_windows, {name}_weights)\n"
            lines += f"{name}_y = ReduceSum <keepdims = 0> ({name}_shares, {name}_axis)\n"
        else:
            lines += f"{name}_y = ReduceMax <keepdims = 0> ({name}_windows, {name}_axis)\n"
        x = f"{name}_y"
    return f"{lines}y = Identity({x})"


@body("AdaptiveAveragePooling1D")
@body("AdaptiveAveragePooling2D")
@body("AdaptiveAveragePooling3D")
def adaptive_average_pooling(layer: Layer, shapes: list[Shape]) -> str:
    """The mean of each of a given number of windows."""
    return _adaptive(layer, shapes, mean=True)


@body("AdaptiveMaxPooling1D")
@body("AdaptiveMaxPooling2D")
@body("AdaptiveMaxPooling3D")
def adaptive_max_pooling(layer: Layer, shapes: list[Shape]) -> str:
    """The largest value of each of a given number of windows."""
    return _adaptive(layer, shapes, mean=False)
