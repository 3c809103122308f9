"""Modules that resize images, and that change them in training as Keras's layers do; channels are in front."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridge.torch_side.layers.functions_images import bilinear, drawn, resize_weights, transformed


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
