"""The rules and modules of the normalizations over groups and by the root of the mean square."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridge.graph import Layer
from bridge.graph.bodies.core import normalized_axes
from bridge.graph.bodies.normalization import grouped_axis
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, Take, rule


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


@rule("GroupNormalization")
def group_normalization(layer: Layer, shapes: list[Shape]) -> Part:
    axis, groups, channels = grouped_axis(layer, shapes[0])
    rank = len(shapes[0])
    scale, center = "gamma" in layer.weights, "beta" in layer.weights
    if scale == center and (groups < channels or rank > 2) and (axis == 1 or rank == 3):
        module = New(
            nn.GroupNorm, groups, channels, eps=layer.config["epsilon"], **({} if scale else {"affine": False})
        )
    else:
        options = {k: v for k, v in {"scale": scale, "center": center}.items() if not v}
        module = New(GroupNorm, groups, channels, eps=layer.config["epsilon"], **options)
    known = {"weight": "gamma", "bias": "beta"}
    call = None if axis == 1 else f"{{self}}({{0}}.movedim({axis}, 1)).movedim(1, {axis})"
    return Part(module, {torch: Take(keras) for torch, keras in known.items() if keras in layer.weights}, call)


@rule("RMSNormalization")
def rms_normalization(layer: Layer, shapes: list[Shape]) -> Part:
    axes, rank = normalized_axes(layer, shapes[0]), len(shapes[0])
    sizes, epsilon = layer.weights["scale"].shape, layer.config["epsilon"]
    weights = {"weight": Take("scale")}
    if axes == list(range(axes[0], rank)):
        return Part(New(nn.RMSNorm, sizes if len(sizes) > 1 else sizes[0], eps=epsilon), weights)
    return Part(New(RMSNorm, sizes, tuple(axes), epsilon), weights)
