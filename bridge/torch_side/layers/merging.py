"""The rules of the layers that merge several inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.graph import Layer
from bridge.graph.bodies.masks import inputs_and_masks
from bridge.graph.bodies.merging import dot_equation
from bridge.graph.layer import Shape
from bridge.torch_side.layers import functions
from bridge.torch_side.writing.part import Part, Rule, rule


def _widened(shapes: list[Shape], inputs: list[int] | None = None) -> list[str]:
    """The inputs of a merge, given one rank by new axes behind the batch, as Keras does."""
    inputs = list(range(len(shapes))) if inputs is None else inputs
    rank = max(len(shapes[i]) for i in inputs)
    return [f"{{{i}}}" + ".unsqueeze(1)" * (rank - len(shapes[i])) for i in inputs]


def _kept(function: Callable[..., Any], layer: Layer, shapes: list[Shape], before: str = "") -> Part | None:
    """The call of a function that merges inputs with masks, if there are any."""
    inputs, masks = inputs_and_masks(layer, shapes)
    if all(m is None for m in masks):
        return None
    listed = ", ".join("None" if m is None else f"{{{m}}}" for m in masks)
    given = ", ".join(_widened(shapes, inputs))
    return Part(call=f"{function.__name__}({before}[{given}], [{listed}])", functions=(function,))


def _operator(symbol: str) -> Rule:
    def merge(layer: Layer, shapes: list[Shape]) -> Part:
        masked = _kept(functions.product_kept, layer, shapes) if symbol == "*" else None
        return masked or Part(call="(" + f" {symbol} ".join(_widened(shapes, inputs_and_masks(layer, shapes)[0])) + ")")

    return merge


def _pairwise(function: str) -> Rule:
    def merge(layer: Layer, shapes: list[Shape]) -> Part:
        if masked := _kept(functions.extreme_kept, layer, shapes, f"{function}, "):
            return masked
        first, *others = _widened(shapes, inputs_and_masks(layer, shapes)[0])
        for other in others:
            first = f"{function}({first}, {other})"
        return Part(call=first)

    return merge


rule("Add", note="ranks are matched as in Keras")(_operator("+"))
rule("Subtract")(_operator("-"))
rule("Multiply")(_operator("*"))
rule("Maximum")(_pairwise("torch.maximum"))
rule("Minimum")(_pairwise("torch.minimum"))


@rule("Average")
def average(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call=f"({' + '.join(_widened(shapes))}) / {len(shapes)}")


@rule("Concatenate")
def concatenate(layer: Layer, shapes: list[Shape]) -> Part:
    names = ", ".join(f"{{{i}}}" for i in range(len(shapes)))
    return Part(call=f"torch.cat([{names}], dim={int(layer.config['axis'])})")


@rule("Dot")
def dot(layer: Layer, shapes: list[Shape]) -> Part:
    equation, axes = dot_equation(layer, shapes)
    names, used = ["{0}", "{1}"], ()
    if layer.config["normalize"]:
        names = [f"unit_norm({name}, ({axis},))" for name, axis in zip(names, axes, strict=True)]
        used = (functions.unit_norm,)
    call = f'torch.einsum("{equation}", {", ".join(names)})'
    return Part(call=call + (".unsqueeze(-1)" if equation.endswith("->a") else ""), functions=used)
