"""Standard ONNX operators that torch has no word for. Each function stands alone: a converted model's source carries
a copy of those that it uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def divide(x: Tensor, y: Tensor | float) -> Tensor:
    """x / y; of integers the whole part, cut toward zero."""
    return torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc")


def power(x: Tensor, y: Tensor | float) -> Tensor:
    """x ** y in the type of x."""
    return torch.pow(x, y).to(x.dtype)


def bit_shift(x: Tensor, places: Tensor | int, left: bool) -> Tensor:
    """The bits of unsigned x moved; through int64, because torch shifts no wider unsigned type than uint8."""
    wide = x.view(torch.int64) if x.dtype == torch.uint64 else x.to(torch.int64)
    by = torch.as_tensor(places, device=x.device).to(torch.int64)
    moved = wide << by if left else wide >> by
    if x.dtype != torch.uint64:
        return moved.to(x.dtype)
    if not left:  # what came in as copies of the sign is 0
        moved = torch.where(by > 0, moved & ((1 << (64 - by).clamp(max=63)) - 1), moved)
    return moved.view(torch.uint64)


def product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The product over some axes, () for all."""
    for axis in sorted((axis % x.ndim for axis in axes or range(x.ndim)), reverse=True):
        x = x.prod(axis, keepdim=keep, dtype=x.dtype)
    return x


def last_place(x: Tensor, axis: int, keep: bool, largest: bool) -> Tensor:
    """Where the largest or smallest element of an axis is, the last one of several."""
    back = x.flip(axis)
    return x.shape[axis] - 1 - (back.argmax(axis, keepdim=keep) if largest else back.argmin(axis, keepdim=keep))


def cumulative_sum(x: Tensor, axis: int, exclusive: bool, reverse: bool) -> Tensor:
    """Running sum; exclusive: without the element itself; reverse: from the end."""
    turned = x.flip(axis) if reverse else x
    total = turned.cumsum(axis, dtype=x.dtype)
    if exclusive:
        total = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), total.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return total.flip(axis) if reverse else total


def top_k(x: Tensor, k: int, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The k largest or smallest along an axis and their places; of equal ones the first comes first."""
    values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, k), places.narrow(axis, 0, k)


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, each of them along axis 1."""
    mean, scale, bias = (v.reshape(-1, *[1] * (x.ndim - 2)) for v in (mean, weight * torch.rsqrt(var + eps), bias))
    return (x - mean) * scale + bias


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Mean 0 and variance 1 over the axes from 2 on, then weight and bias along axis 1."""
    dims = tuple(range(2, x.ndim))
    shape = (-1, *[1] * (x.ndim - 2))
    var, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(var + eps) * weight.reshape(shape) + bias.reshape(shape)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, axis: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean 0 and variance 1 over the axes from `axis` on, then weight and bias; the mean; 1 / standard deviation."""
    dims = tuple(range(axis % x.ndim, x.ndim))
    var, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    inverse = torch.rsqrt(var + eps)
    y = (x - mean) * inverse * weight
    return (y if bias is None else y + bias), mean, inverse


def reshape_to(x: Tensor, shape: list[int], allow_zero: bool = False) -> Tensor:
    """x in another shape, in which 0 stands for the size that x has there."""
    return x.reshape([x.shape[i] if n == 0 and not allow_zero else n for i, n in enumerate(shape)])


def reverse_axes(x: Tensor) -> Tensor:
    """x with its axes in the opposite order."""
    return x.permute(tuple(range(x.ndim))[::-1])


def unsqueeze_all(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """New axes of size 1, at places of the result."""
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def pad_axes(x: Tensor, pads: list[int], axes: tuple[int, ...] | None, value: float) -> Tensor:
    """x with a constant around it; pads: what stands before each of the axes, then what stands behind."""
    listed = range(x.ndim) if axes is None else axes
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(listed):
        pairs[axis] = (pads[i], pads[i + len(listed)])
    return F.pad(x, [n for pair in reversed(pairs) for n in pair], value=value)


def pad_from_within(x: Tensor, pads: list[int], axes: tuple[int, ...] | None, mode: str) -> Tensor:
    """x continued by its own elements: reflect (the edge itself once), edge (repeated) or wrap (from the other end)."""
    listed = range(x.ndim) if axes is None else axes
    for i, axis in enumerate(listed):
        size = x.shape[axis]
        place = torch.arange(-pads[i], size + pads[i + len(listed)], device=x.device)
        if mode == "edge":
            place = place.clamp(0, size - 1)
        elif mode == "wrap":
            place = place % size
        else:
            period = max(2 * (size - 1), 1)
            place = size - 1 - (size - 1 - place % period).abs()
        x = x.index_select(axis, place)
    return x


def stepped(start: Tensor | float, limit: Tensor | float, step: Tensor | float) -> Tensor:
    """start, start + step, ... before limit, in the type of those that are tensors."""
    like = next(v for v in (start, limit, step) if isinstance(v, Tensor))
    first, last, by = (torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (start, limit, step))
    count = torch.ceil((last - first) / by) if like.is_floating_point() else -((first - last) // by)
    place = torch.arange(max(int(count), 0), device=like.device)
    return first + by * place.to(like.dtype)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """(n, block * block * c, h, w) -> (n, c, h * block, w * block), the block's place first in the channels."""
    n, c, h, w = x.shape
    parts = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // block**2, h * block, w * block)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """(n, c, h * block, w * block) -> (n, block * block * c, h, w), the block's place first in the channels."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * block**2, h // block, w // block)


def slice_axes(
    x: Tensor,
    starts: list[int],
    ends: list[int],
    axes: tuple[int, ...] | None = None,
    steps: tuple[int, ...] | None = None,
) -> Tensor:
    """A slice of some axes, the first ones if not told; a step may be negative."""
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis, step = axes[i] if axes else i, steps[i] if steps else 1
        taken = range(*slice(start, end, step).indices(x.shape[axis]))
        x = x.index_select(axis, torch.tensor(list(taken), dtype=torch.int64, device=x.device))
    return x


def gather_elements(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """The elements of x at these places of an axis, counted from the end where negative."""
    return torch.gather(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices).long())


def gather_nd(x: Tensor, indices: Tensor, batch_dims: int) -> Tensor:
    """The slices of x at the index tuples that are the last axis of indices; the first axes of both are a batch."""
    places = [
        torch.arange(size, device=indices.device).reshape(-1, *[1] * (indices.ndim - 2 - axis))
        for axis, size in enumerate(x.shape[:batch_dims])
    ]
    return x[(*places, *indices.unbind(-1))]


def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, axis: int, reduction: str) -> Tensor:
    """x with updates set or added, ... at these places of an axis."""
    places = torch.where(indices < 0, indices + x.shape[axis], indices).long()
    if reduction == "none":
        return x.scatter(axis, places, updates)
    reduce = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[reduction]
    return x.scatter_reduce(axis, places, updates, reduce)


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """x with slices set or added, ... at the index tuples that are the last axis of indices."""
    depth = indices.shape[-1]
    if reduction in ("none", "add"):
        return x.index_put(indices.unbind(-1), updates, accumulate=reduction == "add")
    row = torch.zeros_like(indices[..., 0])
    for place, size in zip(indices.unbind(-1), x.shape[:depth], strict=True):
        row = row * size + torch.where(place < 0, place + size, place)
    inner = x.shape[depth:].numel()
    rows = row.reshape(-1, 1).long().expand(-1, inner)
    reduce = {"mul": "prod", "max": "amax", "min": "amin"}[reduction]
    return x.reshape(-1, inner).scatter_reduce(0, rows, updates.reshape(-1, inner), reduce).reshape(x.shape)


def one_hot(indices: Tensor, depth: int, values: Tensor, axis: int) -> Tensor:
    """values[1] at the index along a new axis of size depth, values[0] elsewhere and where the index is outside."""
    index = torch.where(indices < 0, indices + depth, indices).unsqueeze(-1)
    hit = index == torch.arange(depth, device=indices.device)
    return torch.where(hit, values[1], values[0]).movedim(-1, axis)


def compress(x: Tensor, condition: Tensor, axis: int | None) -> Tensor:
    """What the condition (as long as the axis, or shorter) marks along an axis, None: of x laid flat."""
    if axis is None:
        x, axis = x.flatten(), 0
    return x.index_select(axis, torch.nonzero(condition).squeeze(1))


def unique(x: Tensor, axis: int | None, ordered: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The different elements (slices of an axis), where each is first, which one each of x is, how often each is."""
    if axis is None:
        x, axis = x.flatten(), 0
    values, inverse, counts = torch.unique(x, dim=axis, return_inverse=True, return_counts=True)
    place = torch.arange(len(inverse), device=x.device)
    first = torch.full_like(counts, len(inverse)).scatter_reduce(0, inverse, place, "amin")
    if not ordered:  # as they come in x
        order = first.argsort()
        values, first, counts = values.index_select(axis, order), first[order], counts[order]
        inverse = order.argsort()[inverse]
    return values, first, inverse, counts


def reverse_sequence(x: Tensor, lengths: Tensor, batch_axis: int, time_axis: int) -> Tensor:
    """x with the first lengths[i] steps of the i-th sequence in reverse order."""
    turned = x.movedim((batch_axis, time_axis), (0, 1))
    step = torch.arange(turned.shape[1], device=x.device)
    ends = lengths.unsqueeze(1)
    place = torch.where(step < ends, ends - 1 - step, step)
    row = torch.arange(len(turned), device=x.device).unsqueeze(1)
    return turned[row, place].movedim((0, 1), (batch_axis, time_axis))
