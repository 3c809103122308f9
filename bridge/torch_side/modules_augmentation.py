"""Modules that change images in training as Keras's layers do; channels are in front. Each stands alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridge.torch_side.modules_resize import bilinear


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


class RandomFlip(nn.Module):
    """Half of the images turned round, in training: along the width, the height, or both at once."""

    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        dims = {"horizontal": [3], "vertical": [2]}.get(self.mode, [2, 3])
        return torch.where(drawn(x, 0, 1)[..., None, None] <= 0.5, x.flip(dims), x)

    def extra_repr(self) -> str:
        return f"{self.mode!r}"


class RandomCrop(nn.Module):
    """In training, images cut to a size at a random place, the same for a batch; smaller ones are resized."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        size, (height, width) = (self.height, self.width), x.shape[2:]
        if height > self.height and width > self.width:
            for dim, old, new in ((2, height, self.height), (3, width, self.width)):
                start = torch.randint(old - new + 1, (), device=x.device)
                x = x.index_select(dim, start + torch.arange(new, device=x.device))
            return x
        top = (height - max(min(height, int(width * self.height / self.width)), 1)) // 2
        left = (width - max(min(width, int(height * self.width / self.height)), 1)) // 2
        x = x[:, :, top : top + self.height, left : left + self.width]
        return x if x.shape[2:] == size else bilinear(x, size)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"


class RandomBrightness(nn.Module):
    """In training, a random part of the value range, from low to high, added to each image."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float] = (0.0, 255.0)):
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        least, most = self.value_range
        return (x + drawn(x, self.low, self.high)[..., None, None] * (most - least)).clamp(least, most)

    def extra_repr(self) -> str:
        return f"{self.low}, {self.high}, value_range={self.value_range}"


class RandomContrast(nn.Module):
    """In training, each image's distance from its channels' means times a random number from low to high."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float] = (0.0, 255.0)):
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mean = x.mean((2, 3), keepdim=True)
        return ((x - mean) * drawn(x, self.low, self.high)[..., None, None] + mean).clamp(*self.value_range)

    def extra_repr(self) -> str:
        return f"{self.low}, {self.high}, value_range={self.value_range}"


class RandomTranslation(nn.Module):
    """In training, each image moved down and right by random parts of its height and width."""

    def __init__(
        self,
        height: tuple[float, float],
        width: tuple[float, float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        super().__init__()
        self.height, self.width = height, width
        self.how = (fill_mode, interpolation, fill_value)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        down, right = drawn(x, *self.height) * x.shape[2], drawn(x, *self.width) * x.shape[3]
        one, zero = torch.ones_like(down), torch.zeros_like(down)
        return transformed(x, [one, zero, -right, zero, one, -down], *self.how)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}, {self.how}"


class RandomRotation(nn.Module):
    """In training, each image turned round its middle by a random part, from low to high, of a full turn."""

    def __init__(
        self,
        low: float,
        high: float,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        super().__init__()
        self.low, self.high = low, high
        self.how = (fill_mode, interpolation, fill_value)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        angle = drawn(x, self.low * 360, self.high * 360) * (torch.pi / 180)
        sine, cosine = angle.sin(), angle.cos()
        right, down = 0.5 * (x.shape[3] - 1), 0.5 * (x.shape[2] - 1)
        first = [cosine, -sine, right - right * cosine - down * -sine]
        return transformed(x, [*first, sine, cosine, down - right * sine - down * cosine], *self.how)

    def extra_repr(self) -> str:
        return f"{self.low}, {self.high}, {self.how}"


class RandomZoom(nn.Module):
    """In training, each image's height and width shrunk by random parts (enlarged by negative ones).

    width: None for the height's own draw.
    """

    def __init__(
        self,
        height: tuple[float, float],
        width: tuple[float, float] | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
    ):
        super().__init__()
        self.height, self.width = height, width
        self.how = (fill_mode, interpolation, fill_value)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        down = drawn(x, 1 + self.height[0], 1 + self.height[1])
        right = down if self.width is None else drawn(x, 1 + self.width[0], 1 + self.width[1])
        zero = torch.zeros_like(down)
        first = [right, zero, (x.shape[3] - 1) / 2 * (1 - right)]
        return transformed(x, [*first, zero, down, (x.shape[2] - 1) / 2 * (1 - down)], *self.how)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}, {self.how}"
