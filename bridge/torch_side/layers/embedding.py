"""The rules of the layers that take numbers of things, and their functions: embeddings and encodings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.graph import Layer
from bridge.graph.bodies.embedding import boundaries, encoding_mode
from bridge.graph.bodies.lookup import idf_weights, lookup_depth, table_of
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, Take, rule


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


class IntegerLookup(nn.Module):
    """values[i] where x is keys[i] (sorted), as int64; for other numbers `default`, or one of `oov` places.

    mask: the number that becomes `masked`. weights: of the places, for `weighted`.
    """

    def __init__(
        self,
        keys: tuple[int, ...],
        values: tuple[int, ...],
        default: int = 0,
        oov: int = 0,
        oov_start: int = 0,
        mask: int | None = None,
        masked: int = 0,
        weights: tuple[float, ...] = (),
    ):
        super().__init__()
        self.default, self.oov, self.oov_start, self.mask, self.masked = default, oov, oov_start, mask, masked
        self.register_buffer("keys", torch.tensor(keys), persistent=False)
        self.register_buffer("values", torch.tensor(values), persistent=False)
        self.register_buffer("weights", torch.tensor(weights), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.long()
        place = torch.searchsorted(self.keys, x).clamp(max=self.keys.numel() - 1)
        other = x.remainder(self.oov) + self.oov_start if self.oov else torch.full_like(x, self.default)
        y = torch.where(self.keys[place] == x, self.values[place], other)
        return y if self.mask is None else torch.where(x == self.mask, self.masked, y)

    def weighted(self, counts: Tensor) -> Tensor:
        """Counts of the places, each times its weight."""
        return counts * self.weights


class ReversibleEmbedding(nn.Embedding):
    """nn.Embedding; with reverse=True the projection back, by the same weights or, untied, by others of their own."""

    def __init__(self, num_embeddings: int, embedding_dim: int, tied: bool = True, soft_cap: float | None = None):
        super().__init__(num_embeddings, embedding_dim)
        self.soft_cap = soft_cap
        self.reverse_weight = None if tied else nn.Parameter(self.weight.detach().clone())

    def forward(self, x: Tensor, reverse: bool = False) -> Tensor:
        if not reverse:
            return super().forward(x)
        y = F.linear(x, self.weight if self.reverse_weight is None else self.reverse_weight)
        return y if self.soft_cap is None else torch.tanh(y / self.soft_cap) * self.soft_cap


@rule("Embedding")
def embedding(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(nn.Embedding, *layer.weights["embeddings"].shape), {"weight": Take("embeddings")})


@rule("ReversibleEmbedding", note="both directions, tied and untied")
def reversible_embedding(layer: Layer, shapes: list[Shape]) -> Part:
    options: dict[str, float | bool] = {}
    weights = {"weight": Take("embeddings")}
    if "reverse_embeddings" in layer.weights:
        options["tied"] = False
        weights["reverse_weight"] = Take("reverse_embeddings", (1, 0))
    if layer.config.get("logit_soft_cap") is not None:
        options["soft_cap"] = float(layer.config["logit_soft_cap"])
    module = New(ReversibleEmbedding, *layer.weights["embeddings"].shape, **options)
    return Part(module, weights, "{self}({0}, reverse=True)" if layer.config["reverse"] else "{self}({0})")


@rule("IntegerLookup", note="vocabularies given or adapted; `num_oov_indices=0` and farmhash are refused")
def integer_lookup(layer: Layer, shapes: list[Shape]) -> Part:
    table, mode = table_of(layer), str(layer.config["output_mode"])
    options: dict[str, int] = {"default": table.default}
    if table.oov:
        options = {"oov": table.oov, "oov_start": table.oov_start}
    if table.mask is not None:
        options |= {"mask": table.mask, "masked": table.masked}
    module = New(IntegerLookup, table.keys, table.values, **options)
    if mode == "int":
        return Part(module)
    if mode == "tf_idf":
        module.kwargs["weights"] = tuple(idf_weights(layer))
        call = _encoded("{self}({0})", "count", lookup_depth(layer), shapes[0])
        return Part(module, call=f"{{self}}.weighted({call})", functions=(one_hot,))
    encoding_mode(layer, shapes[0])  # refuses sparse outputs and other ranks
    call = _encoded("{self}({0})", mode, lookup_depth(layer), shapes[0])
    return Part(module, call=f"{call}.long()", functions=(one_hot,))


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
