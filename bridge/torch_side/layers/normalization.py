"""The rules of the layers that normalize by the statistics of what passes through them."""

from __future__ import annotations

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.masks import called_with
from bridge.graph.bodies.normalization import grouped_axis, normalized_axes
from bridge.graph.layer import Shape
from bridge.torch_side.layers import functions
from bridge.torch_side.layers.modules_normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from bridge.torch_side.layers.time_distributed import steps_argument
from bridge.torch_side.writing.part import New, Part, Take, rule


@rule("BatchNormalization", note="Keras's biased running variance")
def batch_normalization(layer: Layer, shapes: list[Shape]) -> Part:
    axis = layer.config["axis"]
    options = {} if layer.trainable else {"frozen": True}
    if "gamma" not in layer.weights:
        options["scale"] = False
    if "beta" not in layer.weights:
        options["center"] = False
    module = New(
        BatchNorm,
        layer.weights["moving_mean"].shape[0],
        axis=(axis[0] if isinstance(axis, list) else axis) % len(shapes[0]),
        eps=layer.config["epsilon"],
        momentum=round(1 - layer.config["momentum"], 12),  # Keras weighs the old value, torch the new one
        **options,
    )
    known = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    weights = {torch: Take(keras) for torch, keras in known.items() if keras in layer.weights}
    names, steps = called_with(layer, len(shapes)), steps_argument(layer)
    given = ["{0}", *([f"mask={{{names.index('mask')}}}"] if "mask" in names else [])]
    given += [f"steps={steps}"] if steps else []
    return Part(module, weights, f"{{self}}({', '.join(given)})" if len(given) > 1 else None)


@rule("LayerNormalization", note="an own module for axes that are not the last ones")
def layer_normalization(layer: Layer, shapes: list[Shape]) -> Part:
    axes, rank = normalized_axes(layer, shapes[0]), len(shapes[0])
    sizes = tuple(shapes[0][a] for a in axes)
    scale, center = "gamma" in layer.weights, "beta" in layer.weights
    known = {"weight": "gamma", "bias": "beta"}
    weights = {torch: Take(keras) for torch, keras in known.items() if keras in layer.weights}
    epsilon = layer.config["epsilon"]
    if axes == list(range(axes[0], rank)) and (scale or not center):  # what torch's own can do
        options = {} if scale and center else {"bias": False} if scale else {"elementwise_affine": False}
        return Part(New(nn.LayerNorm, sizes if len(sizes) > 1 else sizes[0], eps=epsilon, **options), weights)
    options = {"scale": scale, "center": center}
    return Part(New(LayerNorm, sizes, tuple(axes), epsilon, **{k: v for k, v in options.items() if not v}), weights)


@rule("UnitNormalization")
def unit_normalization(layer: Layer, shapes: list[Shape]) -> Part:
    axes = tuple(normalized_axes(layer, shapes[0]))
    return Part(call=f"unit_norm({{0}}, {axes}, 1e-12)", functions=(functions.unit_norm,))


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
