"""The rule of ContrastLimitedAdaptiveHistogramEqualization (CLAHE), and its functions."""

from __future__ import annotations

import torch
from torch import Tensor

from bridge.graph import Layer
from bridge.graph.bodies.clahe import clahe_of
from bridge.graph.layer import Shape
from bridge.torch_side.layers.space import channels_first_call
from bridge.torch_side.writing.part import Part, literal, rule


def tables_of(levels: Tensor, clip_limit: float) -> Tensor:
    """(tiles, 256): the new level of each level, for levels (tiles, pixels).

    A histogram is cut off at `clip_limit` times its mean, what was cut off spread over all levels, and summed up.
    """
    area = levels.shape[1]
    ones = torch.ones((), device=levels.device).expand_as(levels)
    counts = torch.zeros(levels.shape[0], 256, device=levels.device).scatter_add(1, levels, ones)
    if clip_limit > 0:
        kept = counts.clamp(max=clip_limit * area / 256)
        counts = kept + (counts - kept).sum(1, keepdim=True) / 256
    sums = counts.cumsum(1)
    least = sums.amin(1, keepdim=True)
    rest = area - least
    return ((sums - least) * 255 / rest.masked_fill(rest == 0, 1)).clamp(0, 255)


def nearest_tiles(length: int, size: int, count: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of a line: the tile whose middle is before it, the one behind, and how much of that counts."""
    places = (torch.arange(length, dtype=torch.float32, device=like.device) - size / 2) / size + 1
    behind = places.floor().long()
    return (behind - 1).clamp(min=0), behind.clamp(max=count - 1), places - places.floor()


def clahe(x: Tensor, tiles: tuple[int, int], clip_limit: float, low: float, high: float) -> Tensor:
    """Images, channels in front, whose contrast is evened out in each tile of a grid (CLAHE), as Keras does it.

    Pixels lie between low and high, in 256 levels; each takes its new one from the tables of the four tiles around it.
    """
    rows, columns = tiles
    width = torch.full((), high - low, device=x.device)  # a tensor: by a plain number a GPU divides less exactly
    v = (x if (low, high) == (0, 255) else (x - low) / width * 255).flatten(0, 1).float()
    tall, wide = -(-v.shape[1] // rows), -(-v.shape[2] // columns)
    levels = v.clamp(0, 255).long()
    down, across = torch.arange(tall * rows, device=x.device), torch.arange(wide * columns, device=x.device)
    down, across = torch.minimum(down, 2 * v.shape[1] - 1 - down), torch.minimum(across, 2 * v.shape[2] - 1 - across)
    padded = levels[:, down][:, :, across].unflatten(2, (columns, wide)).unflatten(1, (rows, tall))
    tables = tables_of(padded.transpose(2, 3).reshape(-1, tall * wide), clip_limit).flatten()
    above, below, lower = nearest_tiles(v.shape[1], tall, rows, x)
    left, right, farther = nearest_tiles(v.shape[2], wide, columns, x)
    own = torch.arange(v.shape[0], device=x.device)[:, None, None] * (rows * columns * 256) + levels
    upper, under = (
        torch.lerp(
            tables[own + (row[:, None] * columns + left) * 256],
            tables[own + (row[:, None] * columns + right) * 256],
            farther,
        )
        for row in (above, below)
    )
    y = torch.lerp(upper, under, lower[:, None]).view(x.shape).to(x.dtype)
    return y if (low, high) == (0, 255) else y / 255 * (high - low) + low


@rule("ContrastLimitedAdaptiveHistogramEqualization", note="256 levels, so no gradient reaches what is before it")
def clahe_part(layer: Layer, shapes: list[Shape]) -> Part:
    found = clahe_of(layer, shapes[0])
    options = ", ".join(map(literal, (found.tiles, found.clip_limit, found.low, found.high)))
    call = f"clahe({{x}}, {options})"
    return Part(call=channels_first_call(layer, call), functions=(clahe,))
