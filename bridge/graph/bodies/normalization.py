"""The bodies of the normalizations over groups and by the root of the mean square."""

from __future__ import annotations

from bridge.graph.bodies.core import normalized_axes
from bridge.graph.body import Refused, body, integers, number
from bridge.graph.layer import Layer, Shape


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
