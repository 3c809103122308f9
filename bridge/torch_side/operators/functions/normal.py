"""ONNX's normalizations and losses that torch has no word for. Each function stands alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def group_norm(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
    """Mean 0 and variance 1 over each group of channels, then weight and bias of each channel, or of each group."""
    rows = x.reshape(x.shape[0], groups, -1)
    var, mean = torch.var_mean(rows, 2, correction=0, keepdim=True)
    y = ((rows - mean) * torch.rsqrt(var + eps)).reshape(x.shape)
    each = x.shape[1] // weight.shape[0]
    shape = (-1, *[1] * (x.ndim - 2))
    return y * weight.repeat_interleave(each).reshape(shape) + bias.repeat_interleave(each).reshape(shape)


def rms_norm(x: Tensor, weight: Tensor, axis: int, eps: float) -> Tensor:
    """x over the root of its mean square over the axes from `axis` on, times weight; halves are computed in float32."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = wide.square().mean(tuple(range(axis % x.ndim, x.ndim)), keepdim=True)
    return (wide * torch.rsqrt(mean + eps)).to(x.dtype) * weight


def training_norm(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float, momentum: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Each channel with mean 0 and variance 1 over the batch, then weight and bias; the moved mean and variance."""
    dims = (0, *range(2, x.ndim))
    shape = (1, -1, *[1] * (x.ndim - 2))
    now_var, now_mean = torch.var_mean(x, dims, correction=0)
    y = (x - now_mean.reshape(shape)) * torch.rsqrt(now_var + eps).reshape(shape)
    y = y * weight.reshape(shape) + bias.reshape(shape)
    return y, mean * momentum + now_mean * (1 - momentum), var * momentum + now_var * (1 - momentum)


def mean_variance_norm(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean 0 and variance 1 over some axes."""
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (var.sqrt() + 1e-9)


def power_norm(x: Tensor, axis: int, p: int) -> Tensor:
    """x over its p-norm along an axis; where that is 0, x itself."""
    size = torch.linalg.vector_norm(x, p, dim=axis, keepdim=True)
    return x / torch.where(size == 0, 1.0, size)


def hard_max(x: Tensor, axis: int) -> Tensor:
    """1 at the first largest element of an axis, 0 elsewhere."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)


def likelihood_loss(
    log_probabilities: Tensor, labels: Tensor, weight: Tensor | None, ignored: int | None, reduction: str
) -> Tensor:
    """-log_probabilities at the labels of axis 1, each times its class's weight; `ignored` is a label that is none."""
    labels = labels.long()
    counts = torch.ones_like(labels, dtype=torch.bool) if ignored is None else labels != ignored
    place = torch.where(counts, labels, 0)
    factor = log_probabilities.new_ones(labels.shape) if weight is None else weight[place]
    factor = torch.where(counts, factor, 0)
    loss = -log_probabilities.gather(1, place.unsqueeze(1)).squeeze(1) * factor
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / factor.sum()


def softmax_loss(
    scores: Tensor, labels: Tensor, weight: Tensor | None, ignored: int | None, reduction: str
) -> tuple[Tensor, Tensor]:
    """The same for scores before their softmax over axis 1, and the logarithms of that."""
    logarithms = F.log_softmax(scores, 1)
    return likelihood_loss(logarithms, labels, weight, ignored, reduction), logarithms
