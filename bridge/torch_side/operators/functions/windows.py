"""ONNX's convolutions and poolings where torch has no word for their padding. Each function stands alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def padding_of(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    pads: tuple[int, ...],
    same: str,
) -> tuple[int, ...]:
    """What stands before each axis, then what stands behind: as given, or so that ceil(size / stride) windows fit."""
    rank = len(kernel)
    if not same:
        return pads or (0,) * (2 * rank)
    totals = [
        max((-(-size // step) - 1) * step + (k - 1) * d + 1 - size, 0)
        for size, k, step, d in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    before = [total // 2 if same == "SAME_UPPER" else total - total // 2 for total in totals]
    return (*before, *(total - b for total, b in zip(totals, before, strict=True)))


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    groups: int = 1,
    same: str = "",
) -> Tensor:
    """A convolution of 1 to 3 axes with any padding; same: "SAME_UPPER" or "SAME_LOWER"."""
    rank = x.ndim - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    pads = padding_of(tuple(x.shape[2:]), tuple(weight.shape[2:]), strides, dilations, pads, same)
    x = F.pad(x, [n for axis in reversed(range(rank)) for n in (pads[axis], pads[axis + rank])])
    return (F.conv1d, F.conv2d, F.conv3d)[rank - 1](x, weight, bias, strides, 0, dilations, groups)


def convolve_transposed(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    groups: int = 1,
    more: tuple[int, ...] = (),
    shape: tuple[int, ...] = (),
    same: str = "",
) -> Tensor:
    """A transposed convolution; more: what is added behind each axis; shape: the sizes that come out."""
    rank = x.ndim - 2
    strides, dilations, more = strides or (1,) * rank, dilations or (1,) * rank, more or (0,) * rank
    y = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1](
        x, weight, None, strides, 0, 0, groups, dilations
    )
    pads = pads or (0,) * (2 * rank)
    if same and not shape:
        shape = tuple(size * step for size, step in zip(x.shape[2:], strides, strict=True))
    if shape:
        totals = [size + m - wanted for size, m, wanted in zip(y.shape[2:], more, shape[-rank:], strict=True)]
        before = [total // 2 if same == "SAME_UPPER" else total - total // 2 for total in totals]
        pads = (*before, *(total - b for total, b in zip(totals, before, strict=True)))
    y = F.pad(y, [n for a in reversed(range(rank)) for n in (-pads[a], more[a] - pads[a + rank])])
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def windows_of(
    x: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    same: str,
    ceil: bool,
    value: float,
) -> Tensor:
    """(n, c, *places, positions): what a pooling looks at, with `value` where it looks beyond the edge."""
    rank = len(kernel)
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    pads = padding_of(tuple(x.shape[2:]), kernel, strides, dilations, pads, same)
    around = []
    counts = []
    for axis, (k, step, d) in enumerate(zip(kernel, strides, dilations, strict=True)):
        size, before, behind = x.shape[2 + axis], pads[axis], pads[axis + rank]
        room = size + before + behind - (k - 1) * d - 1
        count = (-(-room // step) if ceil else room // step) + 1
        if ceil and (count - 1) * step >= size + before:  # a window that begins behind the edge does not count
            count -= 1
        counts.append(count)
        around.append((before, (count - 1) * step + (k - 1) * d + 1 - size - before))
    x = F.pad(x, [n for pair in reversed(around) for n in pair], value=value)
    for axis, (k, step, d) in enumerate(zip(kernel, strides, dilations, strict=True)):
        x = x.unfold(2 + axis, (k - 1) * d + 1, step)[..., ::d].narrow(2 + axis, 0, counts[axis])
    return x.flatten(2 + rank)


def max_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    same: str = "",
    ceil: bool = False,
    by_columns: bool = False,
) -> tuple[Tensor, Tensor]:
    """The largest of each window, and where in x, laid flat, it is; by_columns: with the last axis as the slowest."""
    rank, sizes = len(kernel), x.shape[2:]
    options = (kernel, strides, pads, dilations, same, ceil)
    least = float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min
    values, place = windows_of(x, *options, least).max(-1)
    steps = [sizes[i + 1 :].numel() if not by_columns else sizes[:i].numel() for i in range(rank)]
    spots = sum(
        (torch.arange(size, device=x.device) * step).reshape(-1, *[1] * (rank - 1 - i))
        for i, (size, step) in enumerate(zip(sizes, steps, strict=True))
    )
    listed = windows_of(spots[None, None], *options, -1)
    spot = listed.expand(*place.shape, -1).gather(-1, place.unsqueeze(-1)).squeeze(-1)
    plane = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *[1] * rank)
    return values, spot + plane * sizes.numel()


def average_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    same: str = "",
    ceil: bool = False,
    with_pads: bool = False,
) -> Tensor:
    """The mean of each window; with_pads: the given padding counts as zeros, else only what is there."""
    rank = len(kernel)
    total = windows_of(x, kernel, strides, pads, dilations, same, ceil, 0.0).sum(-1)
    ones = torch.ones_like(x[:1, :1])
    if with_pads:
        around = padding_of(tuple(x.shape[2:]), kernel, strides or (1,) * rank, dilations or (1,) * rank, pads, same)
        ones = F.pad(ones, [n for a in reversed(range(rank)) for n in (around[a], around[a + rank])], value=1.0)
        pads, same = (), ""
    count = windows_of(ones, kernel, strides, pads, dilations, same, ceil, 0.0).sum(-1)
    return total / count[tuple(slice(size) for size in total.shape)]


def power_pool(
    x: Tensor,
    p: int,
    kernel: tuple[int, ...],
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    same: str = "",
    ceil: bool = False,
) -> Tensor:
    """The p-norm of each window."""
    return windows_of(x, kernel, strides, pads, dilations, same, ceil, 0.0).abs().pow(p).sum(-1).pow(1 / p)


def max_unpool(
    x: Tensor,
    places: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    shape: list[int] | None,
) -> Tensor:
    """Zeros with the values of a max pooling where they were, in x's old sizes or with zeros behind up to `shape`."""
    rank = len(kernel)
    strides, pads = strides or (1,) * rank, pads or (0,) * (2 * rank)
    sizes = [
        (size - 1) * step + k - pads[i] - pads[i + rank]
        for i, (size, step, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
    ]
    whole = [*x.shape[:2], *sizes]
    y = torch.zeros(whole, dtype=x.dtype, device=x.device).flatten().scatter(0, places.flatten(), x.flatten())
    y = y.reshape(whole)
    if shape is None:
        return y
    return F.pad(y, [n for axis in reversed(range(2, len(shape))) for n in (0, shape[axis] - whole[axis])])


def columns_to_image(
    x: Tensor,
    sizes: list[int],
    block: list[int],
    dilations: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    strides: tuple[int, ...] = (),
) -> Tensor:
    """(n, c * block, places) -> (n, c, *sizes): the blocks added up where they come from."""
    rank = len(sizes)
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    pads = pads or (0,) * (2 * rank)
    around = [size + pads[i] + pads[i + rank] for i, size in enumerate(sizes)]
    spots = torch.arange(torch.Size(around).numel(), device=x.device).reshape(1, 1, *around)
    for axis, (k, step, d) in enumerate(zip(block, strides, dilations, strict=True)):
        spots = spots.unfold(2 + axis, (k - 1) * d + 1, step)[..., ::d]
    spots = spots.flatten(2 + rank).flatten(2, 1 + rank).squeeze(0).squeeze(0).T.flatten()  # (block * places)
    n, c = x.shape[0], x.shape[1] // torch.Size(block).numel()
    y = torch.zeros(n, c, torch.Size(around).numel(), dtype=x.dtype, device=x.device)
    y = y.index_add(2, spots, x.reshape(n, c, -1)).reshape(n, c, *around)
    return y[(..., *(slice(pads[i], pads[i] + size) for i, size in enumerate(sizes)))]


def deformed_convolution(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    strides: tuple[int, ...] = (),
    pads: tuple[int, ...] = (),
    dilations: tuple[int, ...] = (),
    groups: int = 1,
    offset_groups: int = 1,
) -> Tensor:
    """A 2D convolution whose kernel looks at places moved by `offset`, between pixels by bilinear interpolation."""
    strides, pads, dilations = strides or (1, 1), pads or (0, 0, 0, 0), dilations or (1, 1)
    (n, c, h, w), (kh, kw), (oh, ow) = x.shape, weight.shape[2:], offset.shape[2:]
    moved = offset.reshape(n, offset_groups, kh, kw, 2, oh, ow)
    rows = torch.arange(oh, device=x.device) * strides[0] - pads[0]
    columns = torch.arange(ow, device=x.device) * strides[1] - pads[1]
    down = (torch.arange(kh, device=x.device) * dilations[0]).reshape(kh, 1, 1, 1)
    right = (torch.arange(kw, device=x.device) * dilations[1]).reshape(kw, 1, 1)
    y = moved[:, :, :, :, 0] + rows.reshape(oh, 1) + down
    z = moved[:, :, :, :, 1] + columns + right
    grid = torch.stack([(2 * z + 1) / w - 1, (2 * y + 1) / h - 1], -1).reshape(n * offset_groups, kh * kw * oh, ow, 2)
    seen = F.grid_sample(x.reshape(n * offset_groups, -1, h, w), grid, align_corners=False)
    seen = seen.reshape(n, offset_groups, c // offset_groups, kh, kw, oh, ow)
    if mask is not None:
        seen = seen * mask.reshape(n, offset_groups, 1, kh, kw, oh, ow)
    seen = seen.reshape(n, groups, c // groups, kh, kw, oh, ow)
    kernel = weight.reshape(groups, -1, c // groups, kh, kw)
    result = torch.einsum("ngcijhw,gocij->ngohw", seen, kernel).reshape(n, -1, oh, ow)
    return result if bias is None else result + bias.reshape(-1, 1, 1)
