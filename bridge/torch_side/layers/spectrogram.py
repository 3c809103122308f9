"""The rules of the layers that make spectrograms of sound, and their modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.graph import Layer
from bridge.graph.bodies.space import channels_last
from bridge.graph.bodies.spectrogram import decibels, refuse_mel, stft_channels, stft_sizes
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, Take, rule


class STFTSpectrogram(nn.Module):
    """Short-time Fourier transforms by trainable convolutions: (batch, time, channels) -> (batch, frames, ...).

    mode: "real", "imag", "angle", "stft", "psd", "magnitude" or "log". same: Keras's padding="same".
    """

    def __init__(self, mode: str, bins: int, length: int, step: int, same: bool = False, expand_dims: bool = False):
        super().__init__()
        self.mode, self.length, self.step, self.same, self.expand_dims = mode, length, step, same, expand_dims
        self.real = nn.Conv1d(1, bins, length, step, bias=False) if mode != "imag" else None
        self.imag = nn.Conv1d(1, bins, length, step, bias=False) if mode != "real" else None

    def forward(self, x: Tensor) -> Tensor:
        batch, time, channels = x.shape
        waves = x.movedim(-1, 1).reshape(-1, 1, time)
        if self.same:
            total = max((-(-time // self.step) - 1) * self.step + self.length - time, 0)
            waves = F.pad(waves, (total // 2, total - total // 2))
        y = self.spectrum(waves)  # (batch * channels, frequencies, frames)
        if self.expand_dims:
            return y.unflatten(0, (batch, channels)).permute(0, 3, 2, 1)
        return y.reshape(batch, channels * y.shape[1], y.shape[2]).movedim(1, -1)

    def spectrum(self, waves: Tensor) -> Tensor:
        """What `mode` says of the transform."""
        if self.real is None or self.imag is None:
            return self.real(waves) if self.real is not None else self.imag(waves)
        real, imag = self.real(waves), self.imag(waves)
        if self.mode == "angle":
            return torch.atan2(imag, real)
        if self.mode == "stft":
            return torch.cat([real, imag], 1)
        power = real.square() + imag.square()
        if self.mode == "psd":
            return power + F.pad(power[:, 1:-1], (0, 0, 1, 1))
        magnitude = power.clamp(min=1e-7).sqrt()
        return magnitude if self.mode == "magnitude" else magnitude.clamp(min=1e-7).log()


class MelSpectrogram(nn.Module):
    """Spectrograms on the mel scale: (batch, time) -> (batch, mels, frames).

    length: of the Fourier transform; window: "hann", "hamming", its values or None, over `size` values of a frame.
    decibels: (least power, reference in decibels, range below the batch's loudest), or None for powers.
    """

    def __init__(
        self,
        length: int,
        stride: int,
        size: int,
        mels: int,
        rate: float,
        low: float,
        high: float,
        exponent: float = 2.0,
        window: str | tuple[float, ...] | None = "hann",
        decibels: tuple[float, float, float] | None = (1e-10, 0.0, 80.0),
    ):
        super().__init__()
        self.length, self.stride, self.exponent, self.decibels = length, stride, exponent, decibels
        kinds = {"hann": torch.hann_window, "hamming": torch.hamming_window}
        if window in kinds and size > 1:
            values = kinds[window](size, periodic=size % 2 == 0)  # TensorFlow's of odd length is not
        else:
            values = torch.tensor(window) if isinstance(window, tuple) else torch.ones(size)
        before = (length - size) // 2
        self.register_buffer("window", F.pad(values, (before, length - size - before)), persistent=False)
        hertz = torch.linspace(0, rate / 2, length // 2 + 1)[1:]
        edges = [1127 * (1 + torch.tensor(edge) / 700).log() for edge in (low, high)]
        edge, mel = torch.linspace(edges[0].item(), edges[1].item(), mels + 2), 1127 * (1 + hertz / 700).log()[:, None]
        lower, center, upper = edge[:-2], edge[1:-1], edge[2:]
        slopes = torch.minimum((mel - lower) / (center - lower), (upper - mel) / (upper - center)).clamp(min=0)
        self.register_buffer("matrix", F.pad(slopes, (0, 0, 1, 0)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x[:, None], (self.length // 2, self.length // 2), mode="reflect")[:, 0]
        transform = torch.fft.rfft(x.unfold(-1, self.length, self.stride) * self.window)
        y = (transform.real.square() + transform.imag.square()).sqrt().pow(self.exponent) @ self.matrix
        if self.decibels is not None:
            least, offset, reach = self.decibels
            y = 10 * y.clamp(min=least).log10() - offset
            y = torch.maximum(y, y.amax() - reach)
        return y.movedim(-1, -2)


@rule("STFTSpectrogram")
def stft_spectrogram(layer: Layer, shapes: list[Shape]) -> Part:
    stft_channels(layer, shapes[0])  # refuses what can't be done
    length, step, bins = stft_sizes(layer)
    options = {"same": True} if layer.config["padding"] == "same" else {}
    options |= {"expand_dims": True} if layer.config["expand_dims"] else {}
    weights = {f"{name.removesuffix('_kernel')}.weight": Take(name, (2, 1, 0)) for name in layer.weights}
    call = None if channels_last(layer) else "{self}({0}.movedim(1, -1)).movedim(-1, 1)"
    return Part(New(STFTSpectrogram, layer.config["mode"], bins, length, step, **options), weights, call)


@rule("MelSpectrogram")
def mel_spectrogram(layer: Layer, shapes: list[Shape]) -> Part:
    refuse_mel(layer, shapes[0])
    config = layer.config
    sizes = [int(config[name]) for name in ("fft_length", "sequence_stride", "sequence_length", "num_mel_bins")]
    edges = [float(config[name]) for name in ("sampling_rate", "min_freq", "max_freq")]
    scale = decibels(layer) if config["power_to_db"] else None
    window = config["window"]
    options = {"window": tuple(map(float, window)) if isinstance(window, list) else window, "decibels": scale}
    return Part(New(MelSpectrogram, *sizes, *edges, exponent=float(config["mag_exp"]), **options))
