"""What the layers on images need and torch has no word for. Channels are in front, but for `auto_contrast`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nearest(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images, channels in front, of another size: each pixel is the one whose middle is nearest to its own."""
    for dim, new in ((2, size[0]), (3, size[1])):
        old = x.shape[dim]
        places = (torch.arange(new, dtype=torch.float32, device=x.device) + 0.5) * (old / new)
        x = x.index_select(dim, places.floor().clamp(max=old - 1).long())
    return x


def bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images, channels in front, of another size: between the two pixels around the place of each new one.

    F.interpolate rounds these places in another way than TensorFlow, by 1e-5 of a pixel in an image of 300.
    """
    x = x.contiguous()  # one channel's rows one after the other: gathering single numbers is slow otherwise
    for dim, new in ((2, size[0]), (3, size[1])):
        old = x.shape[dim]
        places = (torch.arange(new, dtype=torch.float32, device=x.device) + 0.5) * (old / new) - 0.5
        lower, upper = places.floor().clamp(min=0).long(), places.ceil().clamp(max=old - 1).long()
        part = (places - places.floor()).to(x.dtype)
        if dim == 2:
            x = torch.lerp(x[:, :, lower], x[:, :, upper], part[:, None])
        else:
            x = torch.lerp(x[..., lower], x[..., upper], part)
    return x


def fitted(x: Tensor, size: tuple[int, int], pad: bool = False, fill_value: float = 0.0) -> Tensor:
    """Images, channels in front, with the aspect ratio of `size`: their middle, or all of them with a frame around."""
    height, width = x.shape[2:]
    rows, columns = width * size[0] // size[1], height * size[1] // size[0]
    if pad:
        down, across = max(rows - height, 0) // 2, max(columns - width, 0) // 2
        return F.pad(x, (across, across, down, down), value=fill_value)
    rows, columns = max(min(height, rows), 1), max(min(width, columns), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return x[:, :, top : top + rows, left : left + columns]


def center_crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of images, channels in front; of those that are smaller than `size`, what fits it best, resized."""
    top, left = (x.shape[2] - size[0]) // 2, (x.shape[3] - size[1]) // 2
    if top < 0 or left < 0:
        return bilinear(fitted(x, size), size)
    return x[:, :, top : top + size[0], left : left + size[1]]


def stretched(x: Tensor, factors: tuple[int, int]) -> Tensor:
    """Images, channels in front, bilinearly made longer by whole factors."""
    return bilinear(x, (x.shape[2] * factors[0], x.shape[3] * factors[1]))


def resize_weights(old: int, new: int, method: str, antialias: bool) -> Tensor:
    """(new, old): how much of each pixel of a line is in each pixel of the resized one, as TensorFlow computes it.

    method: "bilinear", "bicubic", "lanczos3", "lanczos5". antialias: a kernel as wide as the pixels that become one.
    """
    middles, pixels = torch.arange(new, dtype=torch.float32) + 0.5, torch.arange(old, dtype=torch.float32)
    inverse = 1 / (torch.full((), new, dtype=torch.float32) / old)  # rounded twice, as TensorFlow does
    if method == "bicubic" and not antialias:  # its weights come from a table of 1024 steps a pixel
        places = middles * (old / new) - 0.5
        places = places.floor() + ((places - places.floor()) * 1024).round() / 1024
    else:
        places, pixels = middles * inverse, pixels + 0.5
    d = pixels - places[:, None]
    d = (d * (1 / inverse.clamp(min=1)) if antialias else d).abs()
    if method == "bilinear":
        kernel = (1 - d).clamp(min=0)
    elif method == "bicubic":
        wing = ((-0.5 * d + 2.5) * d - 4) * d + 2
        kernel = torch.where(d < 1, ((1.5 * d - 2.5) * d) * d + 1, torch.where(d < 2, wing, 0.0))
    else:
        radius = 3 if method == "lanczos3" else 5
        angle = d.clamp(min=1e-3) * torch.pi
        curve = radius * (angle.sin() * (angle / radius).sin()) / (angle * angle)
        kernel = torch.where(d > radius, 0.0, torch.where(d > 1e-3, curve, 1.0))
    return kernel / kernel.sum(1, keepdim=True)


def auto_contrast(x: Tensor, low: float, high: float) -> Tensor:
    """Images whose values lie between low and high, spread over all of that range, along axes 1 and 2.

    An image whose values are all the same stays as it is.
    """
    shares = x if (low, high) == (0, 255) else (x - low) / (high - low) * 255
    least, largest = shares.amin((1, 2), keepdim=True), shares.amax((1, 2), keepdim=True)
    flat = largest == least
    scale = 255 / (largest - least).masked_fill(flat, 255)
    y = (shares * scale - least * scale).clamp(0, 255)
    return x.where(flat, y if (low, high) == (0, 255) else y / 255 * (high - low) + low)


def drawn(x: Tensor, low: float, high: float) -> Tensor:
    """A number between low and high for each image of x, (batch, 1)."""
    return torch.rand(x.shape[0], 1, dtype=x.dtype, device=x.device) * (high - low) + low


def filled_places(places: Tensor, length: int, fill_mode: str) -> Tensor:
    """Places on an axis, those outside of it brought inside as TensorFlow does; "constant" leaves them outside."""
    if fill_mode == "constant":
        return places
    if length > 1 and fill_mode == "reflect":
        twice = 2 * length
        below = places + twice * (-places / twice).trunc()
        below = torch.where(below < -length, below + twice, -below - 1)
        above = places - twice * (places / twice).trunc()
        above = torch.where(above >= length, twice - above - 1, above)
        places = torch.where(places < 0, below, torch.where(places > length - 1, above, places))
    elif length > 1 and fill_mode == "wrap":
        below = places + length * ((-places / (length - 1)).trunc() + 1)
        above = places - length * (places / (length - 1)).trunc()
        places = torch.where(places < 0, below, torch.where(places > length - 1, above, places))
    return places.clamp(0, length - 1)


def pixels(x: Tensor, rows: Tensor, columns: Tensor, fill_value: float) -> Tensor:
    """The pixels of x at rows and columns, (batch, height, width) each; `fill_value` outside of the images."""
    height, width = x.shape[2:]
    within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = rows.clamp(0, height - 1).long() * width + columns.clamp(0, width - 1).long()
    found = x.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, x.shape[1], -1)).view(x.shape)
    return torch.where(within[:, None], found, fill_value)


def transformed(x: Tensor, matrix: list[Tensor], fill_mode: str, interpolation: str, fill_value: float) -> Tensor:
    """Images sampled where `matrix` says, two rows of three numbers, (batch, 1) each, for (column, row, 1).

    Source: TensorFlow's ImageProjectiveTransformV3.
    """
    height, width = x.shape[2:]
    down = torch.arange(height, dtype=x.dtype, device=x.device)[:, None]
    across = torch.arange(width, dtype=x.dtype, device=x.device)
    a0, a1, a2, b0, b1, b2 = (number[..., None] for number in matrix)
    columns = filled_places(a0 * across + a1 * down + a2, width, fill_mode)
    rows = filled_places(b0 * across + b1 * down + b2, height, fill_mode)
    if interpolation == "nearest":
        rows, columns = (torch.where(p < 0, (p - 0.5).ceil(), (p + 0.5).floor()) for p in (rows, columns))
        return pixels(x, rows, columns, fill_value)
    top, left = rows.floor(), columns.floor()
    right, low = (columns - left)[:, None], (rows - top)[:, None]
    upper = (1 - right) * pixels(x, top, left, fill_value) + right * pixels(x, top, left + 1, fill_value)
    lower = (1 - right) * pixels(x, top + 1, left, fill_value) + right * pixels(x, top + 1, left + 1, fill_value)
    return (1 - low) * upper + low * lower
