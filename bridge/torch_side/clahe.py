"""The rule of ContrastLimitedAdaptiveHistogramEqualization (CLAHE), and its function."""

from __future__ import annotations

import torch
from torch import Tensor

from bridge.graph import Layer
from bridge.graph.clahe import clahe_of
from bridge.graph.layer import Shape
from bridge.torch_side.part import Part, rule
from bridge.torch_side.space import channels_first_call


def clahe(x: Tensor, tiles: tuple[int, int], clip_limit: float, low: float, high: float) -> Tensor:
    """Images, channels in front, whose contrast is evened out in each tile of a grid (CLAHE), as Keras does it.

    Pixels lie between low and high, in 256 levels. A tile's histogram, cut off at `clip_limit` times the mean of its
    counts and summed up, is a table of new levels; a pixel takes its own from the four tiles around it.
    """
    width = torch.full(
        (), high - low, dtype=x.dtype, device=x.device
    )  # divided by a plain number a GPU rounds otherwise
    v = (x if (low, high) == (0, 255) else (x - low) / width * 255).flatten(0, 1)
    sizes, mirrored, places = [], [], []
    for length, count in zip(v.shape[1:], tiles, strict=True):
        sizes.append(-(-length // count))
        line = torch.arange(sizes[-1] * count, device=x.device)
        mirrored.append(torch.minimum(line, 2 * length - 1 - line))
        places.append((line[:length].to(x.dtype) - sizes[-1] / 2) / sizes[-1] + 1)
    levels = v[:, mirrored[0]][:, :, mirrored[1]].clamp(0, 255).long()
    levels = levels.unflatten(2, (tiles[1], sizes[1])).unflatten(1, (tiles[0], sizes[0]))
    levels = levels.transpose(2, 3).reshape(-1, sizes[0] * sizes[1])  # one tile after the other
    ones = torch.ones((), dtype=x.dtype, device=x.device).expand_as(levels)
    counts = torch.zeros(levels.shape[0], 256, dtype=x.dtype, device=x.device).scatter_add(1, levels, ones)
    if clip_limit > 0:
        kept = counts.clamp(max=clip_limit * sizes[0] * sizes[1] / 256)
        counts = kept + (counts - kept).sum(1, keepdim=True) / 256
    sums = counts.cumsum(1)
    least = sums.amin(1, keepdim=True)
    rest = sizes[0] * sizes[1] - least
    tables = ((sums - least) * 255 / rest.masked_fill(rest == 0, 1)).clamp(0, 255).flatten()
    first = torch.arange(v.shape[0], device=x.device)[:, None, None] * (tiles[0] * tiles[1] * 256)
    base = first + v.clamp(0, 255).long()
    lines = []
    for step in (-1, 0):
        row = (places[0].floor().long() + step).clamp(0, tiles[0] - 1)[:, None] * tiles[1]
        left, right = ((places[1].floor().long() + s).clamp(0, tiles[1] - 1) for s in (-1, 0))
        part = places[1] - places[1].floor()
        lines.append(tables[base + (row + left) * 256] * (1 - part) + tables[base + (row + right) * 256] * part)
    part = (places[0] - places[0].floor())[:, None]
    y = (lines[0] * (1 - part) + lines[1] * part).view(x.shape)
    return y if (low, high) == (0, 255) else y / 255 * (high - low) + low


@rule("ContrastLimitedAdaptiveHistogramEqualization", note="256 levels, so no gradient reaches what is before it")
def clahe_part(layer: Layer, shapes: list[Shape]) -> Part:
    found = clahe_of(layer, shapes[0])
    call = f"clahe({{x}}, {found.tiles}, {found.clip_limit}, {found.low}, {found.high})"
    return Part(call=channels_first_call(layer, call), functions=(clahe,))
