"""The rules of what a model's own code says beside its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bridge.graph import Layer
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, rule


class AddedLoss(nn.Module):
    """Its first input; keeps the second, which is a loss that Keras's add_loss was given."""

    def __init__(self) -> None:
        super().__init__()
        self.penalty: Tensor | float = 0.0

    def forward(self, x: Tensor, loss: Tensor) -> Tensor:
        if self.training and getattr(self, "_is_replica", False):
            raise RuntimeError("nn.DataParallel would lose this layer's loss; use DistributedDataParallel")
        if self.training or not torch.compiler.is_compiling():
            self.penalty = loss.sum()
        return x

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"penalty": 0.0}  # a tensor with a history can't be copied


def assigned(x: Tensor, value: Tensor, state: Tensor) -> Tensor:
    """x, after the state got its new value."""
    with torch.no_grad():
        state.copy_(value)
    return x


@rule("StopGradient")
def stop_gradient(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call="{0}.detach()")


@rule("AddedLoss")
def added_loss(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(AddedLoss))


@rule("InTraining")
def in_training(layer: Layer, shapes: list[Shape]) -> Part:
    return Part()  # the choice is written by torch_side/writing/source_choices.py


class OwnGradient(torch.autograd.Function):
    """Values whose gradient is what a function says: gradient(*upstream, *given)."""

    @staticmethod
    def forward(gradient: Callable[..., Any], results: int, given: int, *tensors: Tensor) -> Any:
        """tensors: what the gradient is computed from, the results, and what the gradient is of."""
        kept = tuple(tensor.view_as(tensor) for tensor in tensors[given : given + results])
        return kept if results > 1 else kept[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.gradient, results, given = inputs[:3]
        ctx.idle = given + results
        ctx.save_for_backward(*inputs[3 : 3 + given])

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        gradients = ctx.gradient(*upstream, *ctx.saved_tensors)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        return (None,) * (3 + ctx.idle) + gradients


def with_gradient(gradient: Callable[..., Any], given: tuple, results: tuple, arguments: tuple) -> Any:
    """The results, through which the gradient of the arguments is gradient(*upstream, *given)."""
    views = [tensor.view_as(tensor) for tensor in (*results, *arguments)]  # torch.compile takes each tensor once
    return OwnGradient.apply(gradient, len(results), len(given), *given, *views)


@rule("OwnGradient")
def own_gradient(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(functions=(OwnGradient, with_gradient))  # written by torch_side/writing/source_choices.py


@rule("UpstreamGradient")
def upstream_gradient(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call="{0}")


@rule("AssignedState")
def assigned_state(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call="assigned({0}, {1}, {2})", functions=(assigned,))


@rule("RandomNormal")
def random_normal(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call="torch.randn_like({0})")


@rule("RandomUniform")
def random_uniform(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call="torch.rand_like({0})")
