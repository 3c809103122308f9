"""The bodies of the layers that are no activation: core, regularization, normalization, reshaping, merging."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bridge.graph.bodies.masks import first, inputs_and_masks, masked_extreme, masked_product, wide_mask
from bridge.graph.body import Refused, body, integers, number, numbers
from bridge.graph.layer import Layer, Shape


def refuse_option(layer: Layer, **unsupported: Any) -> None:
    """Raises Refused if an option of the layer's config has another value than the only one that is done."""
    for option, only in unsupported.items():
        if layer.config.get(option, only) != only:
            raise Refused(f"its option {option}={layer.config[option]!r} is not supported, only {only!r}")


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


@body("Flatten")
def flatten(layer: Layer, shapes: list[Shape]) -> str:
    rank = len(shapes[0])
    if layer.config.get("data_format") == "channels_first" and rank > 2:
        return f"t = Transpose <perm = {[0, *range(2, rank), 1]}> (x)\ny = Flatten <axis = 1> (t)"
    return "y = Flatten <axis = 1> (x)"


@body("Reshape")
def reshape(layer: Layer, shapes: list[Shape]) -> str:
    return integers("shape", [0, *layer.config["target_shape"]]) + "y = Reshape(x, shape)"


@body("Permute")
def permute(layer: Layer, shapes: list[Shape]) -> str:
    return f"y = Transpose <perm = {[0, *layer.config['dims']]}> (x)"


@body("RepeatVector")
def repeat_vector(layer: Layer, shapes: list[Shape]) -> str:
    """(batch, features) -> (batch, n, features)."""
    return (
        integers("axis", [1])
        + integers("times", [1, layer.config["n"], 1])
        + "r = Unsqueeze(x, axis)\ny = Expand(r, times)"
    )


def _merge(operator: str, *, variadic: bool = False, masked: Callable[..., str] | None = None) -> Any:
    """A body that combines the inputs, after giving them one rank by new axes behind the batch, as Keras does.

    masked: writes it for inputs with masks.
    """

    def merge(layer: Layer, shapes: list[Shape]) -> str:
        inputs, masks = inputs_and_masks(layer, shapes)
        names = ["x"] if len(shapes) == 1 else [f"x{i}" for i in inputs]
        shapes = [shapes[i] for i in inputs]
        rank = max(len(shape) for shape in shapes)
        lines = ""
        for i, shape in enumerate(shapes):
            if len(shape) < rank:
                lines += integers(f"axes{i}", range(1, 1 + rank - len(shape)))
                lines += f"wide{i} = Unsqueeze({names[i]}, axes{i})\n"
                names[i] = f"wide{i}"
        if masked is not None and any(m is not None for m in masks):
            lines += "".join(wide_mask(f"kept{m}", f"x{m}") for m in masks if m is not None)
            return lines + masked(names, [None if m is None else f"kept{m}" for m in masks])
        if len(names) == 1:
            return f"y = Identity({names[0]})"
        if variadic:
            return f"{lines}y = {operator}({', '.join(names)})"
        for i in range(1, len(names)):
            lines += f"{'y' if i == len(names) - 1 else f's{i}'} = {operator}({names[0]}, {names[i]})\n"
            names[0] = f"s{i}"
        return lines

    return merge


body("Add")(_merge("Add"))
body("Subtract")(_merge("Sub"))
body("Multiply")(_merge("Mul", masked=masked_product))
body("Maximum")(_merge("Max", variadic=True, masked=partial(masked_extreme, "Max")))
body("Minimum")(_merge("Min", variadic=True, masked=partial(masked_extreme, "Min")))


@body("Average")
def average(layer: Layer, shapes: list[Shape]) -> str:
    total = _merge("Add")(layer, shapes).replace("y = ", "total = ")
    first = "x" if len(shapes) == 1 else "x0"
    return f"{total}\n{number('count', len(shapes), first)}y = Div(total, count)"


@body("Concatenate")
def concatenate(layer: Layer, shapes: list[Shape]) -> str:
    names = ["x"] if len(shapes) == 1 else [f"x{i}" for i in range(len(shapes))]
    return f"y = Concat <axis = {layer.config['axis']}> ({', '.join(names)})"


@body("Dot")
def dot(layer: Layer, shapes: list[Shape]) -> str:
    """The sum over one axis of each of two inputs, for each row of the batch."""
    equation, axes = dot_equation(layer, shapes)
    lines, names = "", ["x0", "x1"]
    if layer.config["normalize"]:
        lines += number("least", 1e-14, "x0")  # the square of Keras's epsilon
        for i, axis in enumerate(axes):
            lines += integers(f"axis{i}", [axis])
            lines += f"sq{i} = Mul(x{i}, x{i})\nsum{i} = ReduceSum <keepdims = 1> (sq{i}, axis{i})\n"
            lines += f"m{i} = Max(sum{i}, least)\nr{i} = Sqrt(m{i})\nn{i} = Div(x{i}, r{i})\n"
            names[i] = f"n{i}"
    ranks = [len(shape) for shape in shapes]
    if max(ranks) > 3:
        return lines + f'y = Einsum <equation = "{equation}"> ({", ".join(names)})'
    return lines + _product(names, ranks, axes)


def _product(names: list[str], ranks: list[int], axes: tuple[int, int]) -> str:
    """Lines for the sums of a Dot layer as a product of matrices, a vector being one of one row or column."""
    lines, gone = "", [i + 1 for i, rank in enumerate(ranks) if rank == 2]
    for i, (name, rank, axis) in enumerate(zip(names, ranks, axes, strict=True)):
        if rank == 2:
            lines += integers(f"beside{i}", [i + 1]) + f"p{i} = Unsqueeze({name}, beside{i})\n"
        else:
            turned = axis != 2 - i  # what is summed over stands last in the first, and before it in the second
            lines += f"p{i} = {'Transpose <perm = [0, 2, 1]>' if turned else 'Identity'} ({name})\n"
    if not gone:
        return lines + "y = MatMul(p0, p1)"
    gone = gone[-1:]  # of two vectors a row Keras keeps an axis of length 1
    return lines + integers("gone", gone) + "product = MatMul(p0, p1)\ny = Squeeze(product, gone)"


def dot_equation(layer: Layer, shapes: list[Shape]) -> tuple[str, tuple[int, int]]:
    """The Einstein sum of a Dot layer and the two axes that it sums over."""
    given = layer.config["axes"]
    first, second = given if isinstance(given, list | tuple) else (given, given)
    axes = (first % len(shapes[0]), second % len(shapes[1]))
    letters = iter(string.ascii_lowercase[2:])
    terms = []
    for shape, axis in zip(shapes, axes, strict=True):
        terms.append("".join("a" if i == 0 else "b" if i == axis else next(letters) for i in range(len(shape))))
    kept = "".join(letter for term in terms for letter in term if letter not in "ab")
    return f"{terms[0]},{terms[1]}->a{kept}", axes
