"""ONNX's attentions. Each function stands alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    scale: float | None = None,
    causal: bool = False,
    heads: int = 0,
    key_heads: int = 0,
    softcap: float = 0.0,
    scores_as: int = 0,
    left: int = -1,
    right: int = -1,
    precision: torch.dtype | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """ONNX's Attention: its result, all keys, all values, and the scores as they are after a step of it.

    query, key, value: (batch, heads, length, size), or (batch, length, heads * size) with the number of heads.
    lengths: how many keys of each row count. scores_as: 0 as they are, 1 capped, 2 with the mask, 3 as weights.
    left, right: how far a query looks, -1 for any distance.
    """
    packed = query.ndim == 3
    if packed:
        query = query.unflatten(2, (heads, -1)).transpose(1, 2)
        key = key.unflatten(2, (key_heads, -1)).transpose(1, 2)
        value = value.unflatten(2, (key_heads, -1)).transpose(1, 2)
    root = (query.shape[3] ** -0.5 if scale is None else scale) ** 0.5
    before = 0
    if past_key is not None and past_value is not None:
        before = past_key.shape[2]
        key, value = torch.cat([past_key, key], 2), torch.cat([past_value, value], 2)
    keys, values = key, value
    rows, columns = query.shape[2], key.shape[2]
    bias = query.new_zeros(rows, columns)
    infinite = float("-inf")
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, infinite).to(query.dtype)
        if columns > mask.shape[-1]:
            mask = F.pad(mask, (0, columns - mask.shape[-1]), value=infinite)
        bias = bias + mask
    if causal or left >= 0 or right >= 0:
        step = torch.arange(rows, device=query.device).unsqueeze(1)
        if past_key is None and lengths is not None:
            step = step + (lengths.reshape(-1, 1, 1, 1) - rows)
        else:
            step = step + before
        ahead = torch.arange(columns, device=query.device) - step
        seen = ahead <= 0 if causal else torch.ones_like(ahead, dtype=torch.bool)
        if left >= 0:
            seen = seen & (ahead >= -left)
        if right >= 0:
            seen = seen & (ahead <= right)
        bias = bias + torch.where(seen, 0.0, infinite).to(query.dtype)
    if lengths is not None:
        there = torch.arange(columns, device=query.device) < lengths.reshape(-1, 1, 1, 1)
        bias = bias + torch.where(there, 0.0, infinite).to(query.dtype)
    each = query.shape[1] // key.shape[1]
    if each > 1:
        key, value = key.repeat_interleave(each, 1), value.repeat_interleave(each, 1)
    scores = (query * root) @ (key * root).transpose(2, 3)
    shown = scores
    if softcap > 0:
        scores = torch.tanh(scores / softcap) * softcap
        shown = scores if scores_as == 1 else shown
    scores = scores + bias
    shown = scores if scores_as == 2 else shown
    blind = bias.amax(-1, keepdim=True) == infinite  # a query that may see nothing gets nothing
    weights = torch.softmax(torch.where(blind, 0.0, scores), -1, dtype=precision).to(query.dtype)
    weights = torch.where(blind, 0.0, weights)
    shown = weights if scores_as == 3 else shown
    y = weights @ value
    return (y.transpose(1, 2).flatten(2) if packed else y), keys, values, shown


def rotated(
    x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None, interleaved: bool, size: int, heads: int
) -> Tensor:
    """Pairs of features (`size` of them, 0: all) turned by angles; x: (batch, heads, length, size) or packed heads."""
    turned = x.transpose(1, 2) if x.ndim == 4 else x.unflatten(2, (heads, -1))
    size = size or turned.shape[3]
    part, rest = turned[..., :size], turned[..., size:]
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    cos, sin = cos.unsqueeze(2), sin.unsqueeze(2)
    first, second = (part[..., 0::2], part[..., 1::2]) if interleaved else part.chunk(2, -1)
    real, imaginary = cos * first - sin * second, sin * first + cos * second
    part = torch.stack([real, imaginary], -1).flatten(3) if interleaved else torch.cat([real, imaginary], -1)
    y = torch.cat([part, rest], -1)
    return y.transpose(1, 2) if x.ndim == 4 else y.flatten(2)


def linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    state: Tensor | None,
    decay: Tensor | None,
    beta: Tensor | None,
    heads: int,
    key_heads: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """ONNX's LinearAttention: a state of (key size, value size) a head, which each step fades, mends and reads."""
    kind = query.dtype
    wide = torch.float64 if kind == torch.float64 else torch.float32
    query = query.to(wide).unflatten(2, (heads, -1))
    key, value = (v.to(wide).unflatten(2, (key_heads, -1)) for v in (key, value))
    (b, steps, _, d), m = key.shape, value.shape[3]
    kept = kind if state is None else state.dtype
    state = query.new_zeros(b, key_heads, d, m) if state is None else state.to(wide)
    found = []
    for i in range(steps):
        if decay is not None:
            state = state * decay[:, i].to(wide).reshape(b, key_heads, -1).exp().unsqueeze(-1)
        now = value[:, i]
        if beta is not None:
            now = beta[:, i].to(wide).unsqueeze(-1) * (now - torch.einsum("bhdm,bhd->bhm", state, key[:, i]))
        state = state + key[:, i].unsqueeze(-1) * now.unsqueeze(-2)
        read = state.repeat_interleave(heads // key_heads, 1)
        found.append(torch.einsum("bhd,bhdm->bhm", query[:, i], read) * (scale or d**-0.5))
    return torch.stack(found, 1).flatten(2).to(kind), state.to(kept)


def causal_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    """Each channel's own convolution of what was so far, `state` before the first step; and the state after it."""
    width = weight.shape[2] - 1
    x = F.pad(x, (width, 0)) if state is None else torch.cat([state, x], 2)
    y = F.conv1d(x, weight, bias, groups=x.shape[1])
    return F.silu(y) if silu else y, x[:, :, x.shape[2] - width :]
