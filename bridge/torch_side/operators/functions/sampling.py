"""ONNX's ways to look at images between their pixels. Each function stands alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def resize(
    x: Tensor,
    axes: tuple[int, ...] | None,
    scales: list[float] | None,
    sizes: list[int] | None,
    roi: list[float],
    mode: str,
    place: str,
    nearest: str,
    cubic: float,
    antialias: bool,
    exclude_outside: bool,
    outside: float,
    policy: str,
) -> Tensor:
    """x with some axes in other lengths. See ONNX's Resize for the words."""
    listed = [axis % x.ndim for axis in axes] if axes else [*range(x.ndim)]
    if sizes is not None:
        ratios = [size / x.shape[axis] for axis, size in zip(listed, sizes, strict=True)]
        if policy != "stretch":
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            sizes = [math.floor(ratio * x.shape[axis] + 0.5) for axis in listed]
            ratios = [ratio] * len(sizes)
    else:
        ratios = [float(scale) for scale in scales or []]
        crops = place == "tf_crop_and_resize"
        parts = [roi[i + len(listed)] - roi[i] if crops else 1.0 for i in range(len(listed))]
        exact = [x.shape[a] * part * r for a, part, r in zip(listed, parts, ratios, strict=True)]
        sizes = [int(size) for size in torch.tensor(exact, dtype=torch.float32).floor()]  # 6 * 0.8333333 is 5
    for i, (axis, size, ratio) in enumerate(zip(listed, sizes, ratios, strict=True)):
        begin, end = (roi[i], roi[i + len(listed)]) if roi else (0.0, 1.0)
        idle = size == x.shape[axis] and ratio == 1 and place != "tf_crop_and_resize"
        if not idle:
            exact = x.shape[axis] if policy == "stretch" and scales is None else None
            options = (place, nearest, cubic, antialias, exclude_outside, outside)
            x = resize_axis(x, axis, size, ratio, exact, begin, end, mode, *options)
    return x


def resize_axis(
    x: Tensor,
    axis: int,
    size: int,
    ratio: float,
    exact: int | None,
    begin: float,
    end: float,
    mode: str,
    place: str,
    nearest: str,
    cubic: float,
    antialias: bool,
    exclude_outside: bool,
    outside: float,
) -> Tensor:
    """x with one axis in another length: for each new place a few old ones, each with its weight.

    exact: the old length, where ratio is the new one over it, and times the inverse is exact in two steps.
    """
    old = x.shape[axis]
    new = torch.arange(size, dtype=torch.float64, device=x.device)
    if place == "align_corners":
        at = new * (old - 1) / (ratio * old - 1) if size > 1 else new * 0
    elif place == "asymmetric":
        at = new * exact / size if exact else new / ratio
    elif place == "pytorch_half_pixel" and size == 1:
        at = new * 0 - 0.5
    elif place == "tf_crop_and_resize":
        at = (
            begin * (old - 1) + new * (end - begin) * (old - 1) / (size - 1)
            if size > 1
            else new * 0 + 0.5 * (begin + end) * (old - 1)
        )
    elif place == "half_pixel_symmetric":
        at = old / 2 * (1 - size / (ratio * old)) + (new + 0.5) / ratio - 0.5
    else:
        at = ((new + 0.5) * exact / size if exact else (new + 0.5) / ratio) - 0.5
    if mode == "nearest":
        if nearest == "floor":
            near = at.floor()
        elif nearest == "ceil":
            near = at.ceil()
        else:
            near = (at + 0.5).floor() if nearest == "round_prefer_ceil" else (at - 0.5).ceil()
        y = x.index_select(axis, near.long().clamp(0, old - 1))
    else:
        stretch = max(1 / ratio, 1.0) if antialias else 1.0
        reach = 2 if mode == "cubic" else 1
        first = (at - reach * stretch).floor().long() + 1 if antialias else at.floor().long() - reach + 1
        taps = math.ceil(2 * reach * stretch) + (1 if antialias else 0)
        spots = first.unsqueeze(1) + torch.arange(taps, device=x.device)
        far = (spots - at.unsqueeze(1)).abs() / stretch
        if mode == "cubic":
            near_weight = ((cubic + 2) * far - (cubic + 3)) * far * far + 1
            far_weight = ((cubic * far - 5 * cubic) * far + 8 * cubic) * far - 4 * cubic
            weights = torch.where(far <= 1, near_weight, torch.where(far < 2, far_weight, 0.0))
        else:
            weights = (1 - far).clamp(min=0)
        if exclude_outside:
            weights = torch.where((spots < 0) | (spots >= old), 0.0, weights)
        weights = weights / weights.sum(1, keepdim=True)
        kind = x.dtype if x.is_floating_point() else torch.float32
        weights = weights.to(kind)
        shape = [-1 if a == axis else 1 for a in range(x.ndim)]
        spots = spots.clamp(0, old - 1)
        y = sum(x.index_select(axis, spots[:, tap]).to(kind) * weights[:, tap].reshape(shape) for tap in range(taps))
        y = y if x.is_floating_point() else y.round().to(x.dtype)
    if place == "tf_crop_and_resize":
        shape = [-1 if a == axis else 1 for a in range(x.ndim)]
        y = torch.where(((at < 0) | (at > old - 1)).reshape(shape), outside, y)
    return y


def crop_or_pad(x: Tensor, sizes: list[int], axes: tuple[int, ...] | None) -> Tensor:
    """x cut to its middle, or with zeros around it, to these sizes of some axes."""
    for axis, size in zip(axes or range(x.ndim), sizes, strict=True):
        there = x.shape[axis]
        if there > size:
            x = x.narrow(axis, (there - size) // 2, size)
        elif there < size:
            before = (size - there) // 2
            shape = [*x.shape]
            shape[axis] = before
            behind = [*x.shape]
            behind[axis] = size - there - before
            x = torch.cat([x.new_zeros(shape), x, x.new_zeros(behind)], axis)
    return x


def align_regions(
    x: Tensor,
    regions: Tensor,
    batch: Tensor,
    height: int,
    width: int,
    ratio: int,
    scale: float,
    shift: float,
    largest: bool,
) -> Tensor:
    """(regions, channels, height, width): each region of x, seen at `ratio` places (0: as many as fit) a cell."""
    rows, columns = x.shape[2:]
    found = []
    for region, image in zip(regions, batch.long(), strict=True):
        left, top, right, bottom = (region * scale - shift).unbind()
        high, wide = bottom - top, right - left
        if not shift:  # the older form: no region is smaller than a pixel
            high, wide = high.clamp(min=1), wide.clamp(min=1)
        down = ratio if ratio > 0 else max(math.ceil(float(high) / height), 1)
        across = ratio if ratio > 0 else max(math.ceil(float(wide) / width), 1)
        y = top + (torch.arange(height * down, device=x.device) + 0.5) * high / (height * down)
        z = left + (torch.arange(width * across, device=x.device) + 0.5) * wide / (width * across)
        valid = ((y >= -1) & (y <= rows)).unsqueeze(1) & ((z >= -1) & (z <= columns))
        y, z = y.clamp(0, rows - 1), z.clamp(0, columns - 1)
        y0, z0 = y.floor().long(), z.floor().long()
        y1, z1 = (y0 + 1).clamp(max=rows - 1), (z0 + 1).clamp(max=columns - 1)
        dy, dz = (y - y0).unsqueeze(1), z - z0
        plane = x[image]
        corners = [
            plane[:, y0][:, :, z0] * ((1 - dy) * (1 - dz)),
            plane[:, y0][:, :, z1] * ((1 - dy) * dz),
            plane[:, y1][:, :, z0] * (dy * (1 - dz)),
            plane[:, y1][:, :, z1] * (dy * dz),
        ]
        seen = torch.stack(corners).amax(0) if largest else corners[0] + corners[1] + corners[2] + corners[3]
        seen = (seen * valid).reshape(-1, height, down, width, across)
        found.append(seen.amax((2, 4)) if largest else seen.mean((2, 4)))
    return torch.stack(found) if found else x.new_zeros(0, x.shape[1], height, width)


def suppressed(
    boxes: Tensor, scores: Tensor, most: int, overlap: float, least: float | None, by_center: bool
) -> Tensor:
    """(found, 3): batch, class and box of the boxes that no better one of their class overlaps too much."""
    if by_center:
        middle, half = boxes[..., :2], boxes[..., 2:] / 2
        low, high = middle - half, middle + half
    else:
        low, high = torch.minimum(boxes[..., :2], boxes[..., 2:]), torch.maximum(boxes[..., :2], boxes[..., 2:])
    area = (high - low).prod(-1)
    found = []
    for image in range(scores.shape[0]):
        for kind in range(scores.shape[1]):
            order = torch.sort(scores[image, kind], descending=True, stable=True).indices.tolist()
            kept: list[int] = []
            for box in order:
                if len(kept) >= most or (least is not None and not scores[image, kind, box] > least):
                    break
                common = [
                    (torch.minimum(high[image, box], high[image, k]) - torch.maximum(low[image, box], low[image, k]))
                    .clamp(min=0)
                    .prod()
                    for k in kept
                ]
                unions = [area[image, box] + area[image, k] - c for k, c in zip(kept, common, strict=True)]
                if not any(bool(u > 0) and bool(c / u > overlap) for c, u in zip(common, unions, strict=True)):
                    kept.append(box)
            found += [[image, kind, box] for box in kept]
    return torch.tensor(found, dtype=torch.int64, device=boxes.device).reshape(-1, 3)
