"""The rules of the layers that change images in training, and of those that change their contrast always."""

from __future__ import annotations

from typing import Any

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.augmentation import contrast_range
from bridge.graph.layer import LACKED, Shape
from bridge.torch_side.layers.functions_images import auto_contrast, bilinear, drawn, transformed
from bridge.torch_side.layers.modules_images import (
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from bridge.torch_side.layers.space import channels_first_call, unless
from bridge.torch_side.writing.part import New, Part, literal, rule


def passed(layer: Layer, shapes: list[Shape]) -> Part:
    """A module that can be replaced: torch has nothing that does the same, which graph.augmentation.lacks tells."""
    return Part(New(nn.Identity))


for _kind in LACKED:
    rule(_kind, note="inference only; that training lacks it is told")(passed)
rule("MaxNumBoundingBoxes", note="images alone")(passed)


@rule("RandomFlip")
def random_flip(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(RandomFlip, str(layer.config["mode"])), call=channels_first_call(layer), functions=(drawn,))


@rule("RandomCrop", note="crops in training only, as in Keras 3.15")
def random_crop(layer: Layer, shapes: list[Shape]) -> Part:
    size = (int(layer.config["height"]), int(layer.config["width"]))
    return Part(New(RandomCrop, *size), call=channels_first_call(layer), functions=(bilinear,))


@rule("RandomBrightness")
def random_brightness(layer: Layer, shapes: list[Shape]) -> Part:
    options = _value_range(sorted(layer.config["value_range"]))
    return Part(New(RandomBrightness, *_range(layer.config["factor"]), **options), functions=(drawn,))


@rule("RandomContrast")
def random_contrast(layer: Layer, shapes: list[Shape]) -> Part:
    less, more = _range(layer.config["factor"])
    module = New(RandomContrast, 1.0 - less, 1.0 + more, **_value_range(layer.config["value_range"]))
    return Part(module, call=channels_first_call(layer), functions=(drawn,))


@rule("RandomTranslation")
def random_translation(layer: Layer, shapes: list[Shape]) -> Part:
    factors = [_range(layer.config[name]) for name in ("height_factor", "width_factor")]
    return _moved(layer, New(RandomTranslation, *factors, **_how(layer)))


@rule("RandomRotation")
def random_rotation(layer: Layer, shapes: list[Shape]) -> Part:
    return _moved(layer, New(RandomRotation, *_range(layer.config["factor"]), **_how(layer)))


@rule("RandomZoom")
def random_zoom(layer: Layer, shapes: list[Shape]) -> Part:
    width = layer.config.get("width_factor")
    options = {} if width is None else {"width": _range(width)}
    return _moved(layer, New(RandomZoom, _range(layer.config["height_factor"]), **options, **_how(layer)))


@rule("AutoContrast")
def auto_contrast_part(layer: Layer, shapes: list[Shape]) -> Part:
    low, high = contrast_range(layer)
    return Part(call=f"auto_contrast({{0}}, {literal(low)}, {literal(high)})", functions=(auto_contrast,))


def _moved(layer: Layer, module: New) -> Part:
    return Part(module, call=channels_first_call(layer), functions=(drawn, transformed))


def _range(factor: Any) -> tuple[float, float]:
    """What Keras draws from: one number means from its negative to it."""
    if isinstance(factor, list | tuple):
        low, high = sorted(map(float, factor))
        return low, high
    return -abs(float(factor)), abs(float(factor))


def _value_range(value_range: Any) -> dict[str, Any]:
    low, high = map(float, value_range)
    return unless((0.0, 255.0), value_range=(low, high))


def _how(layer: Layer) -> dict[str, Any]:
    config = layer.config
    options = unless("reflect", fill_mode=config["fill_mode"]) | unless(
        "bilinear", interpolation=config["interpolation"]
    )
    return options | unless(0.0, fill_value=float(config["fill_value"]))
