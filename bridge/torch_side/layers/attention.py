"""The rules and modules of the attention layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.graph import Layer
from bridge.graph.bodies.attention import attention_axes, attention_options, check_attention, check_heads
from bridge.graph.body import call_tensors
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, Take, literal, rule


class MultiHeadAttention(nn.Module):
    """Keras's multi-head attention: (batch, steps, features) in and out, its heads side by side in nn.Linear's rows.

    features: of query, key and value. heads, kv_heads: of the queries, and of keys and values, which are fewer in
    grouped attention. dim, value_dim: of a head. output: sizes of the output's last axes.
    zeroed: whether a query whose keys are all masked sees none; else it sees all alike.
    """

    def __init__(
        self,
        features: tuple[int, int, int],
        heads: int,
        dim: int,
        value_dim: int,
        output: tuple[int, ...],
        kv_heads: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        gate: bool = False,
        window: int | None = None,
        zeroed: bool = False,
    ):
        super().__init__()
        self.heads, self.kv_heads, self.output = heads, kv_heads or heads, output
        self.dropout, self.window, self.zeroed = dropout, window, zeroed
        self.query = nn.Linear(features[0], heads * dim, bias=bias)
        self.key = nn.Linear(features[1], self.kv_heads * dim, bias=bias)
        self.value = nn.Linear(features[2], self.kv_heads * value_dim, bias=bias)
        self.gate = nn.Linear(features[0], heads * value_dim, bias=bias) if gate else None
        self.attention_output = nn.Linear(heads * value_dim, torch.Size(output).numel(), bias=bias)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        causal: bool = False,
        scores: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The output; with scores, also the probabilities (batch, heads, query steps, key steps)."""
        q = self.query(query).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k = self.key(value if key is None else key).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        v = self.value(value).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        if self.kv_heads != self.heads:
            k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=1) for t in (k, v))
        masks = [] if query_mask is None else [query_mask.unsqueeze(-1)]
        masks += [mask.unsqueeze(-2) for mask in (value_mask, key_mask) if mask is not None]
        masks += [] if attention_mask is None else [attention_mask]
        masks = [mask.unsqueeze(1) if mask.ndim == 3 else mask for mask in masks]
        fused = causal and not masks and self.window is None and not scores
        if (causal or self.window is not None) and not fused:
            rows, columns = torch.arange(q.shape[2], device=q.device), torch.arange(k.shape[2], device=q.device)
            apart = rows[:, None] - columns
            masks += [apart >= 0] if causal else []
            masks += [apart.abs() < self.window] if self.window is not None else []
        mask = None
        for each in masks:
            mask = each.bool() if mask is None else mask & each.bool()
        dropout = self.dropout if self.training else 0.0
        seen = None if mask is None else mask.any(-1, keepdim=True)
        if scores:
            logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
            least = -3e4 if logits.dtype == torch.float16 else -1e9
            probabilities = (logits if mask is None else logits.masked_fill(~mask, least)).softmax(-1)
            probabilities = probabilities if mask is None else probabilities.masked_fill(~mask, 0.0)
            x = F.dropout(probabilities, dropout) @ v
        elif mask is None:
            x = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=fused)
        else:  # a row without keys: its query is 0, so all keys weigh alike and no gradient goes back to it
            q, mask = q.masked_fill(~seen, 0.0), mask | ~seen
            x = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=dropout)
            x = x.masked_fill(~seen, 0.0) if self.zeroed else x
        x = x.transpose(1, 2).flatten(2)
        x = self.attention_output(x if self.gate is None else x * self.gate(query).sigmoid())
        x = x if len(self.output) == 1 else x.unflatten(-1, self.output)
        return (x, probabilities) if scores else x


@rule("MultiHeadAttention")
@rule("GroupedQueryAttention")
def multi_head_attention(layer: Layer, shapes: list[Shape]) -> Part:
    check_heads(layer, shapes)
    kernels = {name: layer.weights[f"{name}/kernel"].shape for name in ("query", "key", "value", "attention_output")}
    output = kernels["attention_output"][2:]
    options = {
        "kv_heads": None if kernels["key"][1] == kernels["query"][1] else kernels["key"][1],
        "dropout": float(layer.config["dropout"]),
        "bias": "query/bias" in layer.weights,
        "gate": "gate/kernel" in layer.weights,
        "window": layer.config.get("sliding_window"),
        "zeroed": layer.config["dropout"] > 0 or len(shapes[0]) > 3,
    }
    usual = {"kv_heads": None, "dropout": 0.0, "bias": True, "gate": False, "window": None, "zeroed": False}
    module = New(
        MultiHeadAttention,
        tuple(kernels[name][0] for name in ("query", "key", "value")),
        kernels["query"][1],
        kernels["query"][2],
        kernels["value"][2],
        output,
        **{name: value for name, value in options.items() if value != usual[name]},
    )
    last = tuple(range(2, 2 + len(output)))
    weights = {}
    for path, weight in layer.weights.items():
        name, _, word = path.rpartition("/")
        if word == "kernel":
            axes = (last if len(last) > 1 else 2, (0, 1)) if name == "attention_output" else ((1, 2), 0)
            weights[f"{name}.weight"] = Take(path, axes)
        else:
            every = tuple(range(len(weight.shape)))
            weights[f"{name}.bias"] = Take(path, (every,) if len(every) > 1 else None)
    if len(shapes[0]) == 3:
        return Part(module, weights, f"{{self}}({_arguments(layer, shapes)})")
    axes = literal(attention_axes(layer, shapes))
    return Part(
        module, weights, f"attention_over_axes({{self}}, {axes}, {_arguments(layer, shapes)})", (attention_over_axes,)
    )


def attention_over_axes(
    attention: nn.Module,
    axes: tuple[int, ...],
    query: Tensor,
    value: Tensor,
    key: Tensor | None = None,
    query_mask: Tensor | None = None,
    value_mask: Tensor | None = None,
    key_mask: Tensor | None = None,
    attention_mask: Tensor | None = None,
    causal: bool = False,
    scores: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """A multi-head attention along some axes of (batch, ..., features); the others count as more of the batch."""
    others = [axis for axis in range(1, query.ndim - 1) if axis not in axes]
    order = [0, *others, *axes]
    kept = len(others) + 1
    steps, keys = ([x.shape[axis] for axis in axes] for x in (query, value))
    batch = [query.shape[0], *(query.shape[axis] for axis in others)]
    flat = [
        None if x is None else x.permute(*order, x.ndim - 1).flatten(kept, -2).flatten(0, kept - 1)
        for x in (query, value, key)
    ]
    masks = [] if query_mask is None else [query_mask.unsqueeze(-1)]
    masks += [mask.unsqueeze(-2) for mask in (value_mask, key_mask) if mask is not None]
    masks += [] if attention_mask is None else [attention_mask]
    mask = None
    for each in masks:
        mask = each.bool() if mask is None else mask & each.bool()
    if mask is not None:
        while mask.ndim < kept + 1 + 2 * len(axes):  # for heads and others
            mask = mask.unsqueeze(-2 * len(axes) - 1)
        heads = mask.shape[kept]
        mask = mask.expand(*batch, heads, *steps, *keys)
        mask = mask.flatten(kept + 1, kept + len(axes)).flatten(kept + 2).flatten(0, kept - 1)
    y = attention(*flat, attention_mask=mask, causal=causal, scores=scores)
    x, probabilities = y if scores else (y, None)
    x = x.reshape(*batch, *steps, *x.shape[2:])
    x = x.permute([order.index(axis) if axis in order else axis for axis in range(x.ndim)])
    return (x, probabilities.reshape(*batch, probabilities.shape[1], *steps, *keys)) if scores else x


def _arguments(layer: Layer, shapes: list[Shape]) -> str:
    causal, scores = attention_options(layer)
    names = call_tensors(layer, shapes)
    given = [f"{{{i}}}" if name in ("query", "value") else f"{name}={{{i}}}" for i, name in enumerate(names)]
    given += [f"{word}=True" for word, wanted in (("causal", causal), ("scores", scores)) if wanted]
    return ", ".join(given)


class Attention(nn.Module):
    """Keras's attention without heads: softmax(scores) value, and 0 where the query is masked.

    score: "dot" for products; "concat" for weight * sum(tanh(scale * (query + key))); "additive" for
    sum(scale * tanh(query + key)). scale: the shape of that weight, None without it.
    """

    def __init__(self, score: str = "dot", scale: tuple[int, ...] | None = None, dropout: float = 0.0):
        super().__init__()
        self.score, self.dropout = score, dropout
        self.scale = nn.Parameter(torch.ones(scale)) if scale is not None else None
        self.concat_score_weight = nn.Parameter(torch.ones(())) if score == "concat" else None

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        causal: bool = False,
        scores: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The output (batch, query steps, features); with scores, also the probabilities."""
        key = value if key is None else key
        scale = 1.0 if self.scale is None else self.scale
        if self.score == "dot":
            logits = query @ key.transpose(-2, -1) * scale
        else:
            both = query.unsqueeze(-2) + key.unsqueeze(-3)
            if self.score == "concat":
                logits = self.concat_score_weight * (scale * both).tanh().sum(-1)
            else:
                logits = (scale * both.tanh()).sum(-1)
        mask = value_mask.bool().unsqueeze(-2) if value_mask is not None else None
        if causal:
            lower = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
            mask = lower if mask is None else mask & lower
        if mask is not None:
            logits = torch.where(mask, logits, logits - (65504.0 if logits.dtype == torch.float16 else 1e9))
        probabilities = logits.softmax(-1)
        x = F.dropout(probabilities, self.dropout, self.training) @ value
        if query_mask is not None:
            x = torch.where(query_mask.bool().unsqueeze(-1), x, 0.0)
        return (x, probabilities) if scores else x

    def extra_repr(self) -> str:
        return f"{self.score!r}, scale={self.scale is not None}, dropout={self.dropout}"


@rule("Attention")
@rule("AdditiveAttention")
def attention(layer: Layer, shapes: list[Shape]) -> Part:
    check_attention(layer, shapes)
    options = {"score": layer.config.get("score_mode", "additive"), "dropout": float(layer.config["dropout"])}
    if "scale" in layer.weights:
        options["scale"] = layer.weights["scale"].shape
    usual = {"score": "dot", "dropout": 0.0}
    module = New(Attention, **{name: value for name, value in options.items() if value != usual.get(name)})
    call = f"{{self}}({_arguments(layer, shapes)})"
    return Part(module, {name: Take(name) for name in layer.weights}, call)
