"""The rules of the layers that networks of keras.applications bring along, besides those of keras.layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bridge.graph import Layer
from bridge.graph.layer import Shape
from bridge.torch_side.layers.modules import Dropout
from bridge.torch_side.writing.part import New, Part, Take, literal, rule


class LayerScale(nn.Module):
    """x * weight, a factor for each channel of the last axis."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


@rule("LayerScale")
def layer_scale(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(LayerScale, layer.weights["gamma"].shape[0]), {"weight": Take("gamma")})


@rule("StochasticDepth")
def stochastic_depth(layer: Layer, shapes: list[Shape]) -> Part:
    """A dropout with one draw for each sample."""
    return Part(New(Dropout, layer.config["drop_path_rate"], (None, *[1] * (len(shapes[0]) - 1))))


@rule("CustomScaleLayer")
def custom_scale(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call=f"({{0}} + {{1}} * {literal(float(layer.config['scale']))})")
