"""The rules of the layers that change shapes alone."""

from __future__ import annotations

from torch import nn

from bridge.graph import Layer
from bridge.graph.layer import Shape
from bridge.torch_side.writing.part import New, Part, rule


@rule("Flatten")
def flatten(layer: Layer, shapes: list[Shape]) -> Part:
    rank = len(shapes[0])
    if rank == 1:
        return Part(call="{0}.unsqueeze(1)")
    if layer.config.get("data_format") == "channels_first" and rank > 2:
        return Part(New(nn.Flatten), call="{self}({0}.movedim(1, -1))")
    return Part(New(nn.Flatten))


@rule("Reshape")
def reshape(layer: Layer, shapes: list[Shape]) -> Part:
    target = tuple(map(int, layer.config["target_shape"]))
    flat = "{0}.flatten(1)" if len(shapes[0]) > 2 else "{0}" if len(shapes[0]) == 2 else "{0}.unsqueeze(1)"
    if not target:  # one value a row
        return Part(call=f"{flat}.squeeze(1)")
    return Part(call=flat if target == (-1,) else f"{flat}.unflatten(1, {target})")


@rule("Permute")
def permute(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call=f"{{0}}.permute{(0, *map(int, layer.config['dims']))}")


@rule("RepeatVector")
def repeat_vector(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call=f"{{0}}.unsqueeze(1).expand(-1, {int(layer.config['n'])}, -1)")
