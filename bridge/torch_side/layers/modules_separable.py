"""Modules on images and sequences, channels in front, where torch has none. Each stands alone, as the functions do."""

from __future__ import annotations

from torch import Tensor, nn


class SeparableConv1d(nn.Module):
    """A convolution of each channel by itself, then one over the channels of each place.

    multiplier: how many channels the first makes of each.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        multiplier: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        between = in_channels * multiplier
        self.depthwise = nn.Conv1d(
            in_channels, between, kernel_size, stride, padding, dilation, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv1d(between, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class SeparableConv2d(nn.Module):
    """A convolution of each channel by itself, then one over the channels of each place.

    multiplier: how many channels the first makes of each.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        multiplier: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
    ):
        super().__init__()
        between = in_channels * multiplier
        self.depthwise = nn.Conv2d(
            in_channels, between, kernel_size, stride, padding, dilation, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(between, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))
