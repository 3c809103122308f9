"""The bodies of the layers that normalize by the statistics of what passes through them."""

from __future__ import annotations

from bridge.graph.bodies.masks import first
from bridge.graph.body import Refused, body, integers, number, refuse_option
from bridge.graph.layer import Layer, Shape


@body("BatchNormalization")
def batch_normalization(layer: Layer, shapes: list[Shape]) -> str:
    """y = gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta along one axis.

    Masks, and that the rows are those of several steps, count in training only.
    """
    refuse_option(layer, renorm=False)
    x = first(layer, shapes)
    axis, rank = layer.config["axis"], len(shapes[0])
    axis = (axis[0] if isinstance(axis, list) else axis) % rank
    lines, scale, offset = "", "gamma", "beta"
    if "gamma" not in layer.weights:
        lines += number("one", 1, "moving_mean") + "size = Shape(moving_mean)\nones = Expand(one, size)\n"
        scale = "ones"
    if "beta" not in layer.weights:
        lines += number("zero", 0, "moving_mean") + "length = Shape(moving_mean)\nzeros = Expand(zero, length)\n"
        offset = "zeros"
    call = f"BatchNormalization <epsilon = {layer.config['epsilon']!r}>"
    weights = f"{scale}, {offset}, moving_mean, moving_variance"
    if axis == 1:
        return f"{lines}y = {call} ({x}, {weights})"
    there = [0, axis, *(i for i in range(1, rank) if i != axis)]
    back = [there.index(i) for i in range(rank)]
    return f"{lines}a = Transpose <perm = {there}> ({x})\nb = {call} (a, {weights})\ny = Transpose <perm = {back}> (b)"


@body("LayerNormalization")
def layer_normalization(layer: Layer, shapes: list[Shape]) -> str:
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over `axis`."""
    refuse_option(layer, rms_scaling=False)
    axes, rank = normalized_axes(layer, shapes[0]), len(shapes[0])
    broadcast = [shapes[0][i] if i in axes else 1 for i in range(rank)]
    if None in broadcast:
        raise Refused("the axes that it normalizes have no fixed length")
    lines = integers("axes", axes) + "mean = ReduceMean <keepdims = 1> (x, axes)\nd = Sub(x, mean)\nsq = Mul(d, d)\n"
    lines += "variance = ReduceMean <keepdims = 1> (sq, axes)\n" + number("epsilon", layer.config["epsilon"])
    lines += "v = Add(variance, epsilon)\ns = Sqrt(v)\n"
    steps = [("n", "Div(d, s)")]
    shape = integers("broadcast", broadcast) if layer.weights else ""
    if "gamma" in layer.weights:
        shape += "g = Reshape(gamma, broadcast)\n"
        steps.append(("scaled", f"Mul({steps[-1][0]}, g)"))
    if "beta" in layer.weights:
        shape += "b = Reshape(beta, broadcast)\n"
        steps.append(("shifted", f"Add({steps[-1][0]}, b)"))
    return lines + shape + "\n".join(f"{name} = {how}" for name, how in steps) + f"\ny = Identity({steps[-1][0]})"


def normalized_axes(layer: Layer, shape: Shape) -> list[int]:
    """The axes of a normalization, counted from 0 and sorted."""
    axis = layer.config["axis"]
    return sorted(a % len(shape) for a in (axis if isinstance(axis, list | tuple) else [axis]))


@body("UnitNormalization")
def unit_normalization(layer: Layer, shapes: list[Shape]) -> str:
    """y = x / max(norm over axis, 1e-12)."""
    axes = normalized_axes(layer, shapes[0])
    return (
        integers("axes", axes)
        + number("least", 1e-24)
        + "sq = Mul(x, x)\nsum = ReduceSum <keepdims = 1> (sq, axes)\nm = Max(sum, least)\ns = Sqrt(m)\ny = Div(x, s)"
    )


@body("GroupNormalization")
def group_normalization(layer: Layer, shapes: list[Shape]) -> str:
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, both over all of a group of channels and its places."""
    axis, groups, channels = grouped_axis(layer, shapes[0])
    rank = len(shapes[0])
    there = [0, axis, *(i for i in range(1, rank) if i != axis)]
    back = [there.index(i) for i in range(rank)]
    lines = f"t = Transpose <perm = {there}> (x)\nshape = Shape(t)\n" + integers("grouped", [0, groups, -1])
    lines += integers("last", [-1]) + number("epsilon", layer.config["epsilon"])
    lines += "r = Reshape(t, grouped)\nmean = ReduceMean <keepdims = 1> (r, last)\nd = Sub(r, mean)\nsq = Mul(d, d)\n"
    lines += "variance = ReduceMean <keepdims = 1> (sq, last)\nv = Add(variance, epsilon)\nroot = Sqrt(v)\n"
    lines += "n = Div(d, root)\nz0 = Reshape(n, shape)\n"
    if layer.weights:
        lines += integers("broadcast", [channels, *[1] * (rank - 2)])
    result = "z0"
    for name, operator in (("gamma", "Mul"), ("beta", "Add")):
        if name in layer.weights:
            lines += f"{name}_wide = Reshape({name}, broadcast)\nz_{name} = {operator}({result}, {name}_wide)\n"
            result = f"z_{name}"
    return f"{lines}y = Transpose <perm = {back}> ({result})"


def grouped_axis(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """The axis of the channels, counted from 0, how many groups they are in, and how many they are."""
    axis = int(layer.config["axis"]) % len(shape)
    channels = shape[axis]
    if channels is None:
        raise Refused("the axis that it groups has no fixed length")
    groups = int(layer.config["groups"])
    return axis, channels if groups == -1 else groups, channels


@body("RMSNormalization")
def rms_normalization(layer: Layer, shapes: list[Shape]) -> str:
    """y = scale * x / sqrt(mean of x^2 over `axis` + epsilon); the scale meets the last axes, whatever `axis` is."""
    return (
        integers("axes", normalized_axes(layer, shapes[0]))
        + number("epsilon", layer.config["epsilon"])
        + "sq = Mul(x, x)\nmean = ReduceMean <keepdims = 1> (sq, axes)\nm = Add(mean, epsilon)\nroot = Sqrt(m)\n"
        + "n = Div(x, root)\ny = Mul(n, scale)"
    )
