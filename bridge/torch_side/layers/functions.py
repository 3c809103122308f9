"""Functions that torch has no word for. Each stands alone: a converted model's source carries a copy of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def exponential(x: Tensor) -> Tensor:
    """e to the power of x."""
    return x.exp()


def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, x from 1 on, (x + 1)^2 / 4 between."""
    return torch.where(x <= -1, 0.0, torch.where(x < 1, 0.25 * (x + 1).square(), x))


def sparse_sigmoid(x: Tensor) -> Tensor:
    """(x + 1) / 2, kept within 0 and 1."""
    return (0.5 * (x + 1)).clamp(0, 1)


def hard_sigmoid_of_keras2(x: Tensor) -> Tensor:
    """0.2x + 0.5, kept within 0 and 1: what Keras 1 and 2 called hard_sigmoid."""
    return (0.2 * x + 0.5).clamp(0, 1)


def squareplus(x: Tensor) -> Tensor:
    """(x + sqrt(x^2 + 4)) / 2."""
    return (x + (x.square() + 4).sqrt()) / 2


def sparsemax(x: Tensor) -> Tensor:
    """Keras's sparsemax over the last axis.

    Its threshold is (sum of the support's running sums - 1) / k, where Martins and Astudillo (2016) have the last
    running sum alone.
    """
    ordered = x.sort(dim=-1, descending=True).values
    sums = ordered.cumsum(dim=-1)
    rank = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    support = (ordered > (sums - 1) / rank).to(x.dtype)
    tau = ((support * sums).sum(-1, keepdim=True) - 1) / support.sum(-1, keepdim=True)
    return (x - tau).clamp(min=0)


def softmax_over(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Softmax over several axes at once."""
    return (x - torch.logsumexp(x, dims, keepdim=True)).exp()


def unit_norm(x: Tensor, dims: tuple[int, ...], least: float = 1e-7) -> Tensor:
    """x / max(its norm over dims, least)."""
    return x / x.square().sum(dims, keepdim=True).clamp(min=least**2).sqrt()


def mask_steps(x: Tensor, value: float) -> Tensor:
    """x, with 0 in every step whose features all equal `value`."""
    return torch.where((x != value).any(dim=-1, keepdim=True), x, 0.0)


def orthogonality(matrix: Tensor) -> Tensor:
    """Mean absolute cosine between different rows of a matrix: Keras's OrthogonalRegularizer with factor 1."""
    rows = unit_norm(matrix, (1,))
    cosines = (rows @ rows.T).abs()
    return (cosines.sum() - cosines.diagonal().sum()) / (len(rows) * (len(rows) - 1.0))


def scale_norms(x: Tensor, dims: tuple[int, ...], low: float, high: float, rate: float = 1.0) -> Tensor:
    """x with its norms over dims drawn into [low, high]: Keras's MaxNorm and MinMaxNorm."""
    norms = x.square().sum(dims, keepdim=True).sqrt()
    desired = rate * norms.clamp(low, high) + (1 - rate) * norms
    return x * (desired / (1e-7 + norms))


def same_pad(x: Tensor, size: tuple[int, ...], stride: tuple[int, ...], value: float = 0.0) -> Tensor:
    """x, (batch, channels, *space), padded as Keras's padding="same" does for windows of this size.

    What is odd comes after; a dilated window has the size that it spans.
    """
    pads: list[int] = []
    for length, span, step in zip(x.shape[2:], size, stride, strict=True):
        total = max((-(-length // step) - 1) * step + span - length, 0)
        pads = [total // 2, total - total // 2, *pads]  # F.pad wants the last axis first
    return F.pad(x, pads, value=value)


def average_padded(pool: nn.Module, x: Tensor) -> Tensor:
    """The average pool of x, whose padding on CUDA in channels_last has a wrong gradient in torch (seen in 2.11)."""
    return pool(x.contiguous() if x.is_cuda else x)


def average_within(pool: nn.Module, x: Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """The average pool of x with Keras's padding="same", whose zeros don't count."""
    counts = pool(same_pad(torch.ones_like(x[:1, :1]), size, stride))
    return pool(same_pad(x, size, stride)) / counts


def softmax_kept(x: Tensor, mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Softmax over dims of what the mask keeps, 0 elsewhere."""
    kept = mask > 0.5
    least = -3e4 if x.dtype == torch.float16 else -1e9
    return torch.where(kept, softmax_over(torch.where(kept, x, least), dims), 0.0)


def mean_kept(x: Tensor, mask: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """The mean over the steps that the mask, (batch, steps), keeps. dim: of the steps in x, which has three."""
    kept = mask.bool().unsqueeze(3 - dim)
    return torch.where(kept, x, 0.0).sum(dim, keepdim) / kept.to(x.dtype).sum(dim, keepdim)


def product_kept(inputs: list[Tensor], masks: list[Tensor | None]) -> Tensor:
    """The product of the inputs in the steps that their masks keep, 0 in those that none keeps."""
    y, anywhere = None, None
    for x, mask in zip(inputs, masks, strict=True):
        x = x if mask is None else torch.where(mask.bool().unsqueeze(-1), x, 1.0)
        y = x if y is None else y * x
        if mask is not None:
            anywhere = mask.bool() if anywhere is None else anywhere | mask.bool()
    return y if any(mask is None for mask in masks) else torch.where(anywhere.unsqueeze(-1), y, 0.0)


def extreme_kept(function: Callable[..., Tensor], inputs: list[Tensor], masks: list[Tensor | None]) -> Tensor:
    """torch.maximum or minimum, input by input, in which a masked step gives way to the other's."""
    wide = [None if mask is None else mask.bool().unsqueeze(-1) for mask in masks]
    y, kept = inputs[0], wide[0]
    for x, mask in zip(inputs[1:], wide[1:], strict=True):
        x = x if mask is None else torch.where(mask, x, y)
        y = y if kept is None else torch.where(kept, y, x)
        kept = kept | mask if kept is not None and mask is not None else None
        y = function(y, x)
    return y
