"""Modules that normalize as Keras's layers do, where torch's own differ. Each stands alone, as the functions do."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """nn.BatchNorm over any axis, with Keras's rule: the running variance is the biased one (divided by n).

    axis: of the features in x. momentum: torch's meaning, the weight of the new value.
    frozen: always normalize by the running statistics, as Keras does for a layer with trainable=False.
    In a call, mask: true in the places, all axes but the last, whose values make the statistics.
    steps: the rows are those of so many steps, each of which has its own statistics.
    """

    def __init__(
        self,
        num_features: int,
        axis: int = 1,
        eps: float = 1e-3,
        momentum: float = 0.01,
        scale: bool = True,
        center: bool = True,
        frozen: bool = False,
    ):
        super().__init__(num_features, eps=eps, momentum=momentum, affine=True)
        self.axis, self.frozen = axis, frozen
        if not scale:
            self.register_parameter("weight", None)
        if not center:
            self.register_parameter("bias", None)
        self.num_batches_tracked = None  # torch's counter, which Keras doesn't have

    def reset_parameters(self) -> None:
        self.running_mean.zero_()
        self.running_var.fill_(1)
        for parameter, value in ((self.weight, 1), (self.bias, 0)):
            if parameter is not None:
                nn.init.constant_(parameter, value)

    def forward(self, x: Tensor, mask: Tensor | None = None, steps: int = 1) -> Tensor:
        kept = None if mask is None else mask.bool().unsqueeze(-1).expand(x.shape).movedim(self.axis, 1)
        x = x.movedim(self.axis, 1)
        if self.training and not self.frozen and (kept is not None or steps != 1):
            x = self._by_steps(x, kept, steps)
        elif self.training and not self.frozen:
            count = x.numel() // x.shape[1]
            if count == 1:  # which torch refuses: a value by itself is its own mean
                with torch.no_grad():
                    self.running_mean.lerp_(x.flatten(), self.momentum)
                    self.running_var.mul_(1 - self.momentum)
                shape = (-1, *[1] * (x.ndim - 2))
                x = (x - x) * (1.0 if self.weight is None else self.weight.view(shape))
                x = x + (0.0 if self.bias is None else self.bias.view(shape))
            else:  # torch adds the unbiased variance to the running one, so that one is scaled alike meanwhile
                variance = self.running_var * (count / (count - 1))
                x = F.batch_norm(
                    x, self.running_mean, variance, *self._affine(), training=True, momentum=self.momentum, eps=self.eps
                )
                with torch.no_grad():
                    self.running_var.copy_(variance * ((count - 1) / count))
        else:
            x = F.batch_norm(x, self.running_mean, self.running_var, *self._affine(), eps=self.eps)
        return x.movedim(1, self.axis)

    def _affine(self) -> tuple[Tensor | None, Tensor | None]:
        """Scale and center: both or none, for on CUDA torch has no gradient of one by itself."""
        if self.weight is None and self.bias is not None:
            return torch.ones_like(self.bias), self.bias
        if self.bias is None and self.weight is not None:
            return self.weight, torch.zeros_like(self.weight)
        return self.weight, self.bias

    def _by_steps(self, x: Tensor, kept: Tensor | None, steps: int) -> Tensor:
        parts = x.unflatten(0, (-1, steps))
        dims = [d for d in range(parts.ndim) if d not in (1, 2)]
        if kept is None:
            variance, mean = torch.var_mean(parts, dims, correction=0, keepdim=True)
        else:
            kept = kept.unflatten(0, (-1, steps))
            count = kept.to(x.dtype).sum(dims, keepdim=True) + 1e-7
            mean = torch.where(kept, parts, 0.0).sum(dims, keepdim=True) / count
            variance = torch.where(kept, parts - mean, 0.0).square().sum(dims, keepdim=True) / count
        with torch.no_grad():
            for running, new in ((self.running_mean, mean), (self.running_var, variance)):
                for step in range(steps):
                    running.mul_(1 - self.momentum).add_(new[:, step].flatten(), alpha=self.momentum)
        shape = (-1, *[1] * (x.ndim - 2))
        x = ((parts - mean) * torch.rsqrt(variance + self.eps)).flatten(0, 1)
        x = x if self.weight is None else x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)

    def _load_from_state_dict(self, *args: object) -> None:
        nn.Module._load_from_state_dict(self, *args)  # the parent's would put the counter back

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, axis={self.axis}, eps={self.eps}, momentum={self.momentum:g}, frozen={self.frozen}"
        )


class LayerNorm(nn.Module):
    """Layer normalization over any axes; `shape` is the weights' (one size an axis)."""

    def __init__(
        self, shape: tuple[int, ...], dims: tuple[int, ...], eps: float, scale: bool = True, center: bool = True
    ):
        super().__init__()
        self.shape, self.dims, self.eps = shape, dims, eps
        self.weight = nn.Parameter(torch.ones(shape)) if scale else None
        self.bias = nn.Parameter(torch.zeros(shape)) if center else None

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, self.dims, correction=0, keepdim=True)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        sizes = [x.shape[d] if d in self.dims else 1 for d in range(x.ndim)]
        if self.weight is not None:
            x = x * self.weight.view(sizes)
        return x if self.bias is None else x + self.bias.view(sizes)


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm with a scale or an offset only; for groups of a single value too, which torch's refuses; and for
    images turned to channels in front that need no gradient, on which torch 2.13's backward pass on the CPU crashes.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float, scale: bool = True, center: bool = True):
        super().__init__(num_groups, num_channels, eps=eps)
        if not scale:
            self.register_parameter("weight", None)
        if not center:
            self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        for parameter, value in ((self.weight, 1), (self.bias, 0)):
            if parameter is not None:
                nn.init.constant_(parameter, value)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not x.requires_grad:
            x = x.contiguous()
        weight = self.weight
        if weight is None and self.bias is not None:  # torch's backward pass fails on an offset alone
            weight = x.new_ones(self.num_channels)
        return torch.group_norm(x, self.num_groups, weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """x / sqrt(mean of x^2 over any axes + eps) * weight, the weight along the last axes."""

    def __init__(self, shape: tuple[int, ...], dims: tuple[int, ...], eps: float):
        super().__init__()
        self.dims, self.eps = dims, eps
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(self.dims, keepdim=True) + self.eps) * self.weight
