"""The rules of the layers that take numbers of things, and their functions: embeddings and encodings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridge.graph import Layer
from bridge.graph.embedding import boundaries, encoding_mode
from bridge.graph.layer import Shape
from bridge.torch_side.part import New, Part, Take, rule


def one_hot(x: Tensor, depth: int) -> Tensor:
    """A last axis of length depth with 1 where x says, and no 1 for what is below 0 or not below depth."""
    return (x.long().unsqueeze(-1) == torch.arange(depth, device=x.device)).float()


class Discretization(nn.Module):
    """How many of the boundaries are <= x, as int32."""

    def __init__(self, boundaries: tuple[float, ...]):
        super().__init__()
        self.register_buffer("boundaries", torch.tensor(boundaries), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.bucketize(x, self.boundaries, out_int32=True, right=True)


@rule("Embedding")
def embedding(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(nn.Embedding, *layer.weights["embeddings"].shape), {"weight": Take("embeddings")})


@rule("CategoryEncoding")
def category_encoding(layer: Layer, shapes: list[Shape]) -> Part:
    depth = int(layer.config["num_tokens"])
    return Part(call=_encoded("{0}", encoding_mode(layer, shapes[0]), depth, shapes[0]), functions=(one_hot,))


@rule("Discretization")
def discretization(layer: Layer, shapes: list[Shape]) -> Part:
    bounds = tuple(map(float, boundaries(layer)))
    module = New(Discretization, bounds)
    if layer.config["output_mode"] == "int":
        return Part(module)
    mode = encoding_mode(layer, shapes[0])
    call = _encoded("{self}({0})", mode, len(bounds) + 1, shapes[0])
    return Part(module, call=call, functions=(one_hot,))


def _encoded(x: str, mode: str, depth: int, shape: Shape) -> str:
    if mode == "one_hot":
        x = f"{x}.squeeze(-1)" if len(shape) > 1 and shape[-1] == 1 else x
        return f"one_hot({x}, {depth})"
    return f"one_hot({x}, {depth}).{'amax' if mode == 'multi_hot' else 'sum'}(1)"
