"""Resizing as Keras does it, where torch's own F.interpolate computes other numbers. Each stands alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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


class Resize(nn.Module):
    """Images, channels in front, of another size: a sum along the height and one along the width.

    size: the new height and width; or factors: how many times longer each becomes. old: the size of the images, where
    it is always the same: then the weights are computed once.
    """

    def __init__(
        self,
        method: str,
        size: tuple[int, int] | None = None,
        factors: tuple[int, int] = (1, 1),
        old: tuple[int, int] | None = None,
        antialias: bool = False,
    ):
        super().__init__()
        self.method, self.size, self.factors, self.antialias = method, size, factors, antialias
        self.rows: Tensor | None
        self.columns: Tensor | None
        rows, columns = (None, None) if old is None else self.weights(old)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def weights(self, old: tuple[int, int]) -> list[Tensor]:
        new = self.size or tuple(length * factor for length, factor in zip(old, self.factors, strict=True))
        return [resize_weights(a, b, self.method, self.antialias) for a, b in zip(old, new, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.rows, self.columns
        if rows is None or columns is None:
            rows, columns = (w.to(x) for w in self.weights((x.shape[2], x.shape[3])))
        return rows @ x @ columns.T

    def extra_repr(self) -> str:
        return f"{self.method!r}, size={self.size}, factors={self.factors}, antialias={self.antialias}"
