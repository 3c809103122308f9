"""Modules that train as Keras's layers do, where torch's own differ. Each stands alone, as the functions do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PReLU(nn.Module):
    """PReLU with a slope for each position of x behind the batch; axes of length 1 are shared."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) - self.weight * F.relu(-x)


class BoundedReLU(nn.Module):
    """ReLU with Keras's three parameters: a slope below the threshold, an upper bound."""

    def __init__(self, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0):
        super().__init__()
        self.negative_slope, self.max_value, self.threshold = negative_slope, max_value, threshold

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.max_value is None else x.clamp(max=self.max_value)
        return torch.where(x > self.threshold, kept, self.negative_slope * (x - self.threshold))


class Activated(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.function.__name__


class Dropout(nn.Module):
    """Dropout whose mask is shared along the axes where noise_shape is 1 (None: as long as x)."""

    def __init__(self, p: float, noise_shape: tuple[int | None, ...]):
        super().__init__()
        self.p, self.noise_shape = p, noise_shape

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        sizes = [x.shape[d] if size is None else size for d, size in enumerate(self.noise_shape)]
        return x * F.dropout(x.new_ones(sizes), self.p)


class AlphaDropout(nn.Module):
    """nn.AlphaDropout whose mask is shared along the axes where noise_shape is 1 (None: as long as x)."""

    def __init__(self, p: float, noise_shape: tuple[int | None, ...]):
        super().__init__()
        self.p, self.noise_shape = p, noise_shape

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        sizes = [x.shape[d] if size is None else size for d, size in enumerate(self.noise_shape)]
        kept = (torch.rand(sizes, dtype=x.dtype, device=x.device) >= self.p).to(x.dtype)
        low = -1.6732632423543772 * 1.0507009873554805  # what selu tends to
        scale = ((1 - self.p) * (1 + self.p * low**2)) ** -0.5
        return scale * (x * kept + low * (1 - kept)) - scale * low * self.p


class GaussianDropout(nn.Module):
    """x times noise of mean 1 and standard deviation sqrt(p / (1 - p)), in training."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + torch.randn_like(x) * (self.p / (1 - self.p)) ** 0.5) if self.training and self.p else x


class GaussianNoise(nn.Module):
    """x plus noise of mean 0 and standard deviation `std`, in training."""

    def __init__(self, std: float):
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) * self.std if self.training else x


class ActivityRegularization(nn.Module):
    """The identity; keeps the penalty of its last input, (l1 sum|x| + l2 sum x^2) / batch, for the loss.

    In a call, steps: the rows are those of so many steps, whose penalties add up.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        super().__init__()
        self.l1, self.l2 = l1, l2
        self.penalty: Tensor | float = 0.0

    def forward(self, x: Tensor, steps: int = 1) -> Tensor:
        if self.training and getattr(self, "_is_replica", False):
            raise RuntimeError("nn.DataParallel would lose this layer's penalty; use DistributedDataParallel")
        if self.training or not torch.compiler.is_compiling():
            self.penalty = (self.l1 * x.abs().sum() + self.l2 * x.square().sum()) * steps / x.shape[0]
        return x

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"penalty": 0.0}  # a tensor with a history can't be copied


class Rescaling(nn.Module):
    """x * scale + offset; integers become float32."""

    def __init__(self, scale: float | tuple[float, ...], offset: float | tuple[float, ...] = 0.0):
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: Tensor) -> Tensor:
        x = x if x.is_floating_point() else x.float()
        scale, offset = (v if isinstance(v, float) else x.new_tensor(v) for v in (self.scale, self.offset))
        return x * scale + offset


class Normalization(nn.Module):
    """(x - mean) / max(sqrt(variance), 1e-7) with fixed statistics, or its inverse; integers become float32.

    shape: of the statistics. broadcast: the same with 1 on the axes that they were taken over.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        broadcast: tuple[int, ...],
        invert: bool = False,
        mean: tuple[float, ...] | None = None,
        variance: tuple[float, ...] | None = None,
        count: str = "int32",
    ):
        super().__init__()
        self.broadcast, self.invert, self.adapted = broadcast, invert, mean is None
        given = (
            [torch.zeros(shape), torch.ones(shape)] if mean is None else [torch.tensor(mean), torch.tensor(variance)]
        )
        self.register_buffer("mean", given[0], persistent=self.adapted)
        self.register_buffer("variance", given[1], persistent=self.adapted)
        if self.adapted:
            self.register_buffer("count", torch.zeros((), dtype=getattr(torch, count)))

    def forward(self, x: Tensor) -> Tensor:
        x = x if x.is_floating_point() else x.to(self.mean.dtype)
        mean, spread = self.mean.view(self.broadcast), self.variance.view(self.broadcast).sqrt().clamp(min=1e-7)
        return x * spread + mean if self.invert else (x - mean) / spread
