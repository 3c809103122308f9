"""The rules of Dense, and of the layers that scale, mark, penalize or drop what passes through them."""

from __future__ import annotations

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.core import normalization_constants, normalization_shape
from bridge.graph.layer import Shape
from bridge.torch_side.layers import functions
from bridge.torch_side.layers.modules import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    Normalization,
    Rescaling,
)
from bridge.torch_side.layers.time_distributed import steps_argument
from bridge.torch_side.writing.part import New, Part, Take, literal, rule


@rule("Dense", note="its activation is a call of its own; `logits` for a softmax or sigmoid at the end")
def dense(layer: Layer, shapes: list[Shape]) -> Part:
    """y = x @ kernel + bias on the last axis of x: (..., features) -> (..., units)."""
    features, units = layer.weights["kernel"].shape
    if "bias" not in layer.weights:
        return Part(New(nn.Linear, features, units, bias=False), {"weight": Take("kernel", (1, 0))})
    return Part(New(nn.Linear, features, units), {"weight": Take("kernel", (1, 0)), "bias": Take("bias")})


@rule("Identity")
def identity(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(nn.Identity))


_DROPPING = {"Dropout": (nn.Dropout, Dropout), "AlphaDropout": (nn.AlphaDropout, AlphaDropout)}


@rule("AlphaDropout")
@rule("Dropout")
def dropout(layer: Layer, shapes: list[Shape]) -> Part:
    """torch's own module, or where values are dropped together (noise_shape) one of ours."""
    independent, together = _DROPPING[layer.kind]
    rate, noise_shape = layer.config["rate"], layer.config.get("noise_shape")
    return Part(New(independent, rate) if noise_shape is None else New(together, rate, tuple(noise_shape)))


@rule("GaussianDropout")
def gaussian_dropout(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(GaussianDropout, layer.config["rate"]))


@rule("GaussianNoise")
def gaussian_noise(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(GaussianNoise, layer.config["stddev"]))


@rule("ActivityRegularization", note="`activity_regularizer` of any layer too; summed by `penalty()`")
def activity_regularization(layer: Layer, shapes: list[Shape]) -> Part:
    """The layer of that name (l1, l2), or the activity_regularizer of another layer."""
    config = layer.config.get("regularizer", {}).get("config", layer.config)
    module = New(ActivityRegularization, l1=float(config.get("l1", 0.0)), l2=float(config.get("l2", 0.0)))
    steps = steps_argument(layer)
    return Part(module, call=f"{{self}}({{0}}, {steps})" if steps else None)


@rule("Masking", note="the mask goes on to the layers that use it")
def masking(layer: Layer, shapes: list[Shape]) -> Part:
    value = float(layer.config["mask_value"])
    return Part(call=f"mask_steps({{0}}, {literal(value)})", functions=(functions.mask_steps,))


@rule("Rescaling", note="whole numbers in, too")
def rescaling(layer: Layer, shapes: list[Shape]) -> Part:
    values = [layer.config[name] for name in ("scale", "offset")]
    return Part(New(Rescaling, *(tuple(map(float, v)) if isinstance(v, list) else float(v) for v in values)))


@rule("Normalization", note="statistics given or adapted")
def normalization(layer: Layer, shapes: list[Shape]) -> Part:
    broadcast = tuple(normalization_shape(layer, shapes[0]))
    options = {"invert": True} if layer.config.get("invert") else {}
    if "mean" in layer.weights:
        names = ("mean", "variance", "count")
        module = New(
            Normalization, layer.weights["mean"].shape, broadcast, count=layer.weights["count"].dtype, **options
        )
        return Part(module, {name: Take(name) for name in names})
    mean, variance = normalization_constants(layer, shapes[0])
    return Part(New(Normalization, (len(mean),), broadcast, mean=tuple(mean), variance=tuple(variance), **options))
