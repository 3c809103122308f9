"""The rules of the layers that are no activation: core, regularization, normalization, reshaping, merging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.core import dot_equation, normalization_constants, normalization_shape, normalized_axes
from bridge.graph.bodies.masks import called_with, inputs_and_masks
from bridge.graph.layer import Shape
from bridge.torch_side.layers import functions
from bridge.torch_side.layers.modules import (
    ActivityRegularization,
    AlphaDropout,
    BatchNorm,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    LayerNorm,
    Normalization,
    Rescaling,
)
from bridge.torch_side.layers.time_distributed import steps_argument
from bridge.torch_side.writing.part import New, Part, Rule, Take, literal, rule


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


@rule("Dropout")
def dropout(layer: Layer, shapes: list[Shape]) -> Part:
    noise_shape = layer.config.get("noise_shape")
    if noise_shape is not None:
        return Part(New(Dropout, layer.config["rate"], tuple(noise_shape)))
    return Part(New(nn.Dropout, layer.config["rate"]))


@rule("GaussianDropout")
def gaussian_dropout(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(GaussianDropout, layer.config["rate"]))


@rule("GaussianNoise")
def gaussian_noise(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(GaussianNoise, layer.config["stddev"]))


@rule("AlphaDropout")
def alpha_dropout(layer: Layer, shapes: list[Shape]) -> Part:
    noise_shape = layer.config.get("noise_shape")
    if noise_shape is not None:
        return Part(New(AlphaDropout, layer.config["rate"], tuple(noise_shape)))
    return Part(New(nn.AlphaDropout, layer.config["rate"]))


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


def _widened(shapes: list[Shape], inputs: list[int] | None = None) -> list[str]:
    """The inputs of a merge, given one rank by new axes behind the batch, as Keras does."""
    inputs = list(range(len(shapes))) if inputs is None else inputs
    rank = max(len(shapes[i]) for i in inputs)
    return [f"{{{i}}}" + ".unsqueeze(1)" * (rank - len(shapes[i])) for i in inputs]


def _kept(function: Callable[..., Any], layer: Layer, shapes: list[Shape], before: str = "") -> Part | None:
    """The call of a function that merges inputs with masks, if there are any."""
    inputs, masks = inputs_and_masks(layer, shapes)
    if all(m is None for m in masks):
        return None
    listed = ", ".join("None" if m is None else f"{{{m}}}" for m in masks)
    given = ", ".join(_widened(shapes, inputs))
    return Part(call=f"{function.__name__}({before}[{given}], [{listed}])", functions=(function,))


def _operator(symbol: str) -> Rule:
    def merge(layer: Layer, shapes: list[Shape]) -> Part:
        masked = _kept(functions.product_kept, layer, shapes) if symbol == "*" else None
        return masked or Part(call="(" + f" {symbol} ".join(_widened(shapes, inputs_and_masks(layer, shapes)[0])) + ")")

    return merge


def _pairwise(function: str) -> Rule:
    def merge(layer: Layer, shapes: list[Shape]) -> Part:
        if masked := _kept(functions.extreme_kept, layer, shapes, f"{function}, "):
            return masked
        first, *others = _widened(shapes, inputs_and_masks(layer, shapes)[0])
        for other in others:
            first = f"{function}({first}, {other})"
        return Part(call=first)

    return merge


rule("Add", note="ranks are matched as in Keras")(_operator("+"))
rule("Subtract")(_operator("-"))
rule("Multiply")(_operator("*"))
rule("Maximum")(_pairwise("torch.maximum"))
rule("Minimum")(_pairwise("torch.minimum"))


@rule("Average")
def average(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(call=f"({' + '.join(_widened(shapes))}) / {len(shapes)}")


@rule("Concatenate")
def concatenate(layer: Layer, shapes: list[Shape]) -> Part:
    names = ", ".join(f"{{{i}}}" for i in range(len(shapes)))
    return Part(call=f"torch.cat([{names}], dim={int(layer.config['axis'])})")


@rule("Dot")
def dot(layer: Layer, shapes: list[Shape]) -> Part:
    equation, axes = dot_equation(layer, shapes)
    names, used = ["{0}", "{1}"], ()
    if layer.config["normalize"]:
        names = [f"unit_norm({name}, ({axis},))" for name, axis in zip(names, axes, strict=True)]
        used = (functions.unit_norm,)
    call = f'torch.einsum("{equation}", {", ".join(names)})'
    return Part(call=call + (".unsqueeze(-1)" if equation.endswith("->a") else ""), functions=used)
