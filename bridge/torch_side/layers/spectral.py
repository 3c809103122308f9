"""The rule of SpectralNormalization, and its module: it holds the wrapped layer's module."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from bridge.graph import Layer, Refused
from bridge.graph.bodies.spectral import normalized, wrapped
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import RULES, New, Part, Take, rule

_TAKEN = ("name", "sizes", "order", "iterations", "frozen", "vector_u", "normalize")


class SpectralNormalization(nn.Module):
    """Each call in training first divides the weight of `layer` by its spectral norm, for good, as Keras does.

    name: of the layer within this module. sizes, order: the weight seen with Keras's axes, whose last one counts.
    frozen: the model's code calls it with training=False.
    """

    def __init__(
        self,
        name: str,
        layer: nn.Module,
        sizes: tuple[int, ...],
        order: tuple[int, ...],
        iterations: int = 1,
        frozen: bool = False,
    ):
        super().__init__()
        self.name, self.sizes, self.order, self.iterations, self.frozen = name, sizes, order, iterations, frozen
        self.add_module(name, layer)
        self.register_buffer("vector_u", torch.randn(1, sizes[order[-1]]) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.get_submodule(self.name)
        if not self.training or self.frozen:
            return layer(x)
        self.normalize(layer.weight)
        # a copy, so that a second call before backward() changes nothing that the first one still needs
        return torch.func.functional_call(layer, {"weight": layer.weight.clone()}, (x,))

    @torch.no_grad()
    def normalize(self, weight: Tensor) -> None:
        """Power iteration; a weight of zeros stays as it is."""
        matrix = weight.reshape(self.sizes).permute(self.order).flatten(0, -2)
        u = self.vector_u
        for _ in range(self.iterations):
            v = u @ matrix.T
            v = v * v.square().sum().rsqrt().clamp(max=1e7)
            u = v @ matrix
            u = u * u.square().sum().rsqrt().clamp(max=1e7)
        some = (weight != 0).any()
        norm = (v @ matrix @ u.T).squeeze()
        self.vector_u.copy_(torch.where(some, u, self.vector_u))
        weight.div_(torch.where(some, norm, torch.ones_like(norm)))


@rule(
    "SpectralNormalization",
    note="around a layer with a kernel, or an Embedding of float32 numbers; acts in training, as in Keras",
)
def spectral_normalization(layer: Layer, shapes: list[Shape]) -> Part:
    inner = wrapped(layer)
    part = RULES[inner.kind](inner, shapes)
    if part.module is None or part.weights.get("weight", Take("")).weight != normalized(layer):
        raise Refused(f"around {inner.kind} it is not possible yet")
    shape, take = layer.weights[normalized(layer)].shape, part.weights["weight"]
    axes = [axis for entry in take.apart(len(shape)) for axis in entry]
    sizes = tuple(shape[axis] for axis in axes)
    options = (
        {} if int(layer.config["power_iterations"]) == 1 else {"iterations": int(layer.config["power_iterations"])}
    )
    name = _free_name(str(inner.config["name"]))
    module = New(
        SpectralNormalization, name, part.module, sizes, tuple(axes.index(i) for i in range(len(axes))), **options
    )
    weights = {f"{name}.{word}": found for word, found in part.weights.items()} | {"vector_u": Take("vector_u")}
    call = "{self}({0}.int())" if inner.kind == "Embedding" else part.call
    return Part(module, weights, call, part.functions)


def _free_name(name: str) -> str:
    """A name for the wrapped layer's module that nothing else in its holder has."""
    name = re.sub(r"\W", "_", name) or "layer"
    return f"{name}_" if hasattr(nn.Module(), name) or name in _TAKEN else name
