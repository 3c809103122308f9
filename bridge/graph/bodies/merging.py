"""The bodies of the layers that merge several inputs."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import partial
from typing import Any

from bridge.graph.bodies.masks import inputs_and_masks, masked_extreme, masked_product, wide_mask
from bridge.graph.body import body, integers, number
from bridge.graph.layer import Layer, Shape


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
