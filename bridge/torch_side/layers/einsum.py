"""The rule of EinsumDense, and its module where it is no plain dense layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridge.graph import Layer
from bridge.graph.bodies.einsum import einsum_equation
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, Take, rule


class EinsumDense(nn.Module):
    """einsum(equation, x, weight) + bias, the weight as Keras has it; the bias goes along the last axes."""

    def __init__(self, equation: str, shape: tuple[int, ...], bias: tuple[int, ...] | None = None):
        super().__init__()
        self.equation = equation
        self.weight = nn.Parameter(torch.zeros(shape))
        self.bias = nn.Parameter(torch.zeros(bias)) if bias is not None else None

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum(self.equation, x, self.weight)
        return x if self.bias is None else x + self.bias

    def extra_repr(self) -> str:
        return f"{self.equation!r}, {tuple(self.weight.shape)}, bias={self.bias is not None}"


@rule("EinsumDense", note="an own module where the equation is no dense layer's")
def einsum_dense(layer: Layer, shapes: list[Shape]) -> Part:
    """nn.Linear where the equation multiplies the last axis by a matrix, as `abc,cd->abd` does."""
    equation = einsum_equation(layer, len(shapes[0]))
    kernel, bias = layer.weights["kernel"], layer.weights.get("bias")
    axes = _linear_axes(equation)
    known = {"bias": Take("bias")} if bias else {}
    if axes is not None and (bias is None or bias.shape == (kernel.shape[axes[0]],)):
        units, features = (kernel.shape[axis] for axis in axes)
        options = {} if bias else {"bias": False}
        return Part(New(nn.Linear, features, units, **options), {"weight": _matrix(axes), **known})
    module = New(EinsumDense, equation, kernel.shape, *([bias.shape] if bias else []))
    return Part(module, {"weight": Take("kernel"), **known})


def _matrix(axes: tuple[int, int]) -> Take:
    return Take("kernel", axes if axes == (1, 0) else None)


def _linear_axes(equation: str) -> tuple[int, int] | None:
    """The kernel's axes of the units and of the features, if the equation is a dense layer's."""
    x, _, rest = equation.partition(",")
    kernel, _, y = rest.partition("->")
    if len(x) < 2 or len(kernel) != 2 or x[:-1] != y[:-1] or {x[-1], y[-1]} != {*kernel} or y[-1] in x:
        return None
    if x[-1] in x[:-1]:
        return None  # a letter twice is the diagonal of two axes
    return kernel.index(y[-1]), kernel.index(x[-1])
