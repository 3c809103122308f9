"""ONNX's operators on signals. Each function stands alone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def fourier(x: Tensor, length: int | None, axis: int, inverse: bool, onesided: bool) -> Tensor:
    """The discrete Fourier transform along an axis; the last axis is the real and the imaginary part, or a real one."""
    axis = axis % x.ndim
    z = torch.view_as_complex(x.contiguous()) if x.shape[-1] == 2 else x.squeeze(-1)
    if inverse and onesided:
        return torch.fft.irfft(z, length, axis).unsqueeze(-1)
    if inverse:
        return torch.view_as_real(torch.fft.ifft(z, length, axis))
    if onesided and not z.is_complex():
        return torch.view_as_real(torch.fft.rfft(z, length, axis))
    y = torch.view_as_real(torch.fft.fft(z, length, axis))
    return y.narrow(axis, 0, y.shape[axis] // 2 + 1) if onesided else y


def short_time_fourier(x: Tensor, step: int, window: Tensor | None, length: int | None, onesided: bool) -> Tensor:
    """(batch, frames, frequencies, 2): the Fourier transforms of pieces of a signal, each times a window."""
    if length is None:
        length = x.shape[1] if window is None else window.shape[0]
    frames = x.unfold(1, length, step)  # (batch, frames, parts, length)
    if window is not None:
        frames = frames * window
    if x.shape[2] == 2:
        z = torch.view_as_complex(frames.transpose(2, 3).contiguous())
        y = torch.fft.fft(z)
        return torch.view_as_real(y[..., : length // 2 + 1] if onesided else y)
    z = frames.squeeze(2)
    return torch.view_as_real(torch.fft.rfft(z) if onesided else torch.fft.fft(z).contiguous())


def cosine_window(
    size: int, periodic: bool, factors: tuple[float, ...], kind: torch.dtype, device: torch.device | None = None
) -> Tensor:
    """The sum of factors[i] * cos(2 * pi * i * n / length) for n = 0, 1, ..., size - 1."""
    angle = torch.arange(size, dtype=torch.float64, device=device) * (2 * math.pi / (size if periodic else size - 1))
    return sum(factor * torch.cos(i * angle) for i, factor in enumerate(factors)).to(kind)


def mel_weights(
    bins: int, length: int, rate: int, low: float, high: float, kind: torch.dtype, device: torch.device | None = None
) -> Tensor:
    """(frequencies, bins): a triangle over the frequencies for each band of the mel scale."""
    bottom, top = (2595 * math.log1p(edge / 700) / math.log(10) for edge in (low, high))
    step = (top - bottom) / (bins + 2)
    edges = [700 * math.expm1((bottom + i * step) / 2595 * math.log(10)) for i in range(bins + 2)]
    places = [int((length + 1) * edge // rate) for edge in edges]
    rows = torch.arange(length // 2 + 1, dtype=torch.float64, device=device)
    columns = []
    for first, middle, last in zip(places, places[1:], places[2:], strict=False):
        up = (rows - first) / (middle - first) if middle > first else (rows == middle).double()
        column = torch.where((rows >= first) & (rows <= middle), up, 0.0)
        if last > middle:
            column = torch.where((rows >= middle) & (rows < last), (last - rows) / (last - middle), column)
        columns.append(column)
    return torch.stack(columns, 1).to(kind)


def product_so_far(x: Tensor, axis: int, exclusive: bool, reverse: bool) -> Tensor:
    """Running product; exclusive: without the element itself; reverse: from the end."""
    turned = x.flip(axis) if reverse else x
    if exclusive:
        turned = torch.cat([torch.ones_like(x.narrow(axis, 0, 1)), turned.narrow(axis, 0, x.shape[axis] - 1)], axis)
    y = turned.cumprod(axis, dtype=x.dtype)
    return y.flip(axis) if reverse else y


def scatter_rows(cache: Tensor, update: Tensor, starts: Tensor | None, axis: int, circular: bool) -> Tensor:
    """The cache with an update written along an axis, in each row of the batch from another place on."""
    axis = axis % cache.ndim
    place = torch.arange(update.shape[axis], device=cache.device).repeat(cache.shape[0], 1)
    if starts is not None:
        place = place + starts.unsqueeze(1)
    if circular:
        place = place % cache.shape[axis]
    shape = [place.shape[0] if a == 0 else place.shape[1] if a == axis else 1 for a in range(cache.ndim)]
    return cache.scatter(axis, place.reshape(shape).expand(update.shape), update)


def gated(gate: Tensor, x: Tensor, alpha: float) -> Tensor:
    """The swish of the gate, gate * sigmoid(alpha * gate), times x."""
    return (F.silu(gate) if alpha == 1 else gate * torch.sigmoid(alpha * gate)) * x
