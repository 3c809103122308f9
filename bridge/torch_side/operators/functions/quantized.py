"""ONNX's arithmetic on quantized numbers: whole numbers that stand for (number - zero) * scale."""

from __future__ import annotations

import torch
from torch import Tensor


def along(values: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """Scales or zero points as wide as x: one for all, one for each place of an axis, or one for each block of it."""
    if block:
        axis = axis % x.ndim
        return values.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    if values.ndim == 0 or values.numel() == 1:
        return values.reshape(())
    return values.reshape([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])


def quantize(x: Tensor, scale: Tensor, zero: Tensor | None, kind: torch.dtype, axis: int = 1, block: int = 0) -> Tensor:
    """round(x / scale) + zero, halves to even, cut to what the type holds."""
    y = torch.round(x.float() / along(scale, x, axis, block).float())
    if zero is not None:
        kind = zero.dtype
        y = y + along(zero.float(), x, axis, block)
    limits = torch.iinfo(kind)
    return y.clamp(limits.min, limits.max).to(kind)


def dequantize(x: Tensor, scale: Tensor, zero: Tensor | None, axis: int = 1, block: int = 0) -> Tensor:
    """(x - zero) * scale, in the type of the scale."""
    wide = x.to(torch.int64)
    if zero is not None:
        wide = wide - along(zero.to(torch.int64), x, axis, block)
    return (wide.float() * along(scale, x, axis, block).float()).to(scale.dtype)


def quantize_by_range(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x as bytes with a scale and a zero point that just hold its range, 0 included."""
    low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
    scale = torch.where(high > low, high - low, 1.0) / 255  # of zeros alone any will do
    zero = torch.round((-low / scale).clamp(0, 255))
    return torch.round(x / scale).add(zero).clamp(0, 255).to(torch.uint8), scale, zero.to(torch.uint8)


def centered(x: Tensor, zero: Tensor | None, rows: bool) -> Tensor:
    """x - zero as float64, which holds such products exactly; rows: a zero point for each row, else each column."""
    wide = x.double()
    if zero is None:
        return wide
    return wide - (zero.double().unsqueeze(-1) if rows and zero.ndim and zero.numel() > 1 else zero.double())


def multiply_integers(a: Tensor, b: Tensor, zero_a: Tensor | None, zero_b: Tensor | None) -> Tensor:
    """(a - zero) @ (b - zero) in int32."""
    return (centered(a, zero_a, True) @ centered(b, zero_b, False)).to(torch.int32)


def multiply_quantized(
    a: Tensor,
    scale_a: Tensor,
    zero_a: Tensor,
    b: Tensor,
    scale_b: Tensor,
    zero_b: Tensor,
    scale: Tensor,
    zero: Tensor,
) -> Tensor:
    """The product of two quantized matrices, quantized again."""
    factor = scale_a.double() * scale_b.double() / scale.double()
    y = torch.round((centered(a, zero_a, True) @ centered(b, zero_b, False)) * factor) + zero.double()
    limits = torch.iinfo(zero.dtype)
    return y.clamp(limits.min, limits.max).to(zero.dtype)


def requantize(y: Tensor, scale_x: Tensor, scale_w: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """The whole numbers of a convolution, with a scale for each channel or one, quantized again."""
    factor = (scale_x.double() * scale_w.double() / scale.double()).reshape(-1, *[1] * (y.ndim - 2))
    y = torch.round(y * factor) + zero.double()
    limits = torch.iinfo(zero.dtype)
    return y.clamp(limits.min, limits.max).to(zero.dtype)


def centered_kernel(weight: Tensor, zero: Tensor | None) -> Tensor:
    """weight - zero as float64, with a zero point for each channel that comes out, or one."""
    wide = weight.double()
    return wide if zero is None else wide - zero.double().reshape(-1, *[1] * (wide.ndim - 1))
