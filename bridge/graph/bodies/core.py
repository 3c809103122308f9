"""The bodies of Dense, and of the layers that scale, mark, penalize or drop what passes through them."""

from __future__ import annotations

import numpy as np

from bridge.graph.bodies.masks import first
from bridge.graph.body import Refused, body, integers, number, numbers, refuse_option
from bridge.graph.layer import Layer, Shape


@body("Dense")
def dense(layer: Layer, shapes: list[Shape]) -> str:
    """y = x @ kernel + bias; the activation is a node of its own."""
    refuse_option(layer, lora_rank=None, quantization_mode=None)
    product = "MatMul(x, kernel)"
    return f"z = {product}\ny = Add(z, bias)" if "bias" in layer.weights else f"y = {product}"


@body("Identity")
@body("Dropout")
@body("GaussianDropout")
@body("GaussianNoise")
@body("AlphaDropout")
@body("ActivityRegularization")
def identity(layer: Layer, shapes: list[Shape]) -> str:
    """y = x: these layers act in training only."""
    return f"y = Identity({first(layer, shapes)})"


@body("Masking")
def masking(layer: Layer, shapes: list[Shape]) -> str:
    """y = x where any feature of the step differs from mask_value, else 0."""
    return (
        number("value", layer.config["mask_value"])
        + number("zero", 0)
        + integers("last", [-1])
        + "same = Equal(x, value)\ndiffers = Not(same)\nones = CastLike(differs, x)\n"
        + "any = ReduceMax <keepdims = 1> (ones, last)\nkeep = Greater(any, zero)\ny = Where(keep, x, zero)"
    )


@body("Rescaling")
def rescaling(layer: Layer, shapes: list[Shape]) -> str:
    """y = x * scale + offset; integers become float32 first."""
    lines = "f = Cast <to = 1> (x)\n"
    for name in ("scale", "offset"):
        value = layer.config[name]
        lines += numbers(name, value, "f") if isinstance(value, list) else number(name, value, "f")
    return lines + "s = Mul(f, scale)\ny = Add(s, offset)"


@body("Normalization")
def normalization(layer: Layer, shapes: list[Shape]) -> str:
    """y = (x - mean) / max(sqrt(variance), 1e-7), or its inverse."""
    broadcast = normalization_shape(layer, shapes[0])
    lines = "f = Cast <to = 1> (x)\n" + integers("broadcast", broadcast) + number("least", 1e-7, "f")
    if "mean" in layer.weights:
        lines += "m = Reshape(mean, broadcast)\nv = Reshape(variance, broadcast)\n"
    else:
        mean, variance = normalization_constants(layer, shapes[0])
        lines += numbers("m_flat", mean, "f") + "m = Reshape(m_flat, broadcast)\n"
        lines += numbers("v_flat", variance, "f") + "v = Reshape(v_flat, broadcast)\n"
    lines += "root = Sqrt(v)\ns = Max(root, least)\n"
    if layer.config.get("invert"):
        return lines + "p = Mul(f, s)\ny = Add(p, m)"
    return lines + "d = Sub(f, m)\ny = Div(d, s)"


def normalization_shape(layer: Layer, shape: Shape) -> list[int]:
    """The shape in which a Normalization layer's statistics meet its input: 1 on the axes they are taken over."""
    axis = layer.config["axis"]
    axes = [] if axis is None else [a % len(shape) for a in (axis if isinstance(axis, list | tuple) else [axis])]
    sizes = [shape[i] if i in axes else 1 for i in range(len(shape))]
    if None in sizes:
        raise Refused("an axis that it keeps statistics for has no fixed length")
    return [int(size or 1) for size in sizes]


def normalization_constants(layer: Layer, shape: Shape) -> tuple[list[float], list[float]]:
    """Mean and variance of a Normalization layer that got them as arguments, flat."""
    broadcast = normalization_shape(layer, shape)
    kept = [size for size in broadcast if size != 1]
    both = []
    for name in ("mean", "variance"):
        value = np.asarray(layer.config[name], np.float32)
        try:
            both.append(np.broadcast_to(value if value.ndim <= len(kept) else value.squeeze(), kept).ravel().tolist())
        except ValueError:
            raise Refused(f"its {name} of shape {value.shape} does not fit the input {tuple(shape)}") from None
    return both[0], both[1]
