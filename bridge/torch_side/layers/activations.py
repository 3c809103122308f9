"""Every function of keras.activations in torch, and the layers that are one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bridge.graph import Layer
from bridge.graph.bodies.activations import activation_name
from bridge.graph.layer import Shape
from bridge.torch_side.layers import functions
from bridge.torch_side.layers.modules import Activated, BoundedReLU, PReLU
from bridge.torch_side.writing.part import New, Part, Take, rule


@dataclass(frozen=True)
class Activation:
    """source: the activation as an expression of {0}. module: as a module, where torch has one."""

    source: str
    module: New | None = None
    function: object = None


ACTIVATIONS = {
    "linear": Activation("{0}", New(nn.Identity)),
    "relu": Activation("F.relu({0})", New(nn.ReLU)),
    "relu6": Activation("F.relu6({0})", New(nn.ReLU6)),
    "leaky_relu": Activation("F.leaky_relu({0}, 0.2)", New(nn.LeakyReLU, 0.2)),
    "elu": Activation("F.elu({0})", New(nn.ELU)),
    "celu": Activation("F.celu({0})", New(nn.CELU)),
    "selu": Activation("F.selu({0})", New(nn.SELU)),
    "gelu": Activation("F.gelu({0})", New(nn.GELU)),
    "silu": Activation("F.silu({0})", New(nn.SiLU)),
    "mish": Activation("F.mish({0})", New(nn.Mish)),
    "glu": Activation("F.glu({0})", New(nn.GLU)),
    "sigmoid": Activation("torch.sigmoid({0})", New(nn.Sigmoid)),
    "tanh": Activation("torch.tanh({0})", New(nn.Tanh)),
    "exponential": Activation("torch.exp({0})"),
    "softplus": Activation("F.softplus({0})", New(nn.Softplus)),
    "softsign": Activation("F.softsign({0})", New(nn.Softsign)),
    "softmax": Activation("F.softmax({0}, dim=-1)", New(nn.Softmax, dim=-1)),
    "log_softmax": Activation("F.log_softmax({0}, dim=-1)", New(nn.LogSoftmax, dim=-1)),
    "log_sigmoid": Activation("F.logsigmoid({0})", New(nn.LogSigmoid)),
    "tanh_shrink": Activation("F.tanhshrink({0})", New(nn.Tanhshrink)),
    "hard_tanh": Activation("F.hardtanh({0})", New(nn.Hardtanh)),
    "hard_sigmoid": Activation("F.hardsigmoid({0})", New(nn.Hardsigmoid)),
    "hard_sigmoid_of_keras2": Activation("hard_sigmoid_of_keras2({0})", function=functions.hard_sigmoid_of_keras2),
    "hard_silu": Activation("F.hardswish({0})", New(nn.Hardswish)),
    "hard_shrink": Activation("F.hardshrink({0})", New(nn.Hardshrink)),
    "soft_shrink": Activation("F.softshrink({0})", New(nn.Softshrink)),
    "sparse_plus": Activation("sparse_plus({0})", function=functions.sparse_plus),
    "sparse_sigmoid": Activation("sparse_sigmoid({0})", function=functions.sparse_sigmoid),
    "squareplus": Activation("squareplus({0})", function=functions.squareplus),
    "sparsemax": Activation("sparsemax({0})", function=functions.sparsemax),
}


def activation_part(value: object, *, as_module: bool) -> Part:
    """The activation that a layer's config names, as a module of its own or as an expression."""
    found = ACTIVATIONS[activation_name(value)]
    if as_module and found.module:
        return Part(found.module)
    return Part(call=found.source, functions=(found.function,) if found.function else ())


def activation_module(name: str) -> New:
    """An activation as a module, for modules that take one."""
    found = ACTIVATIONS[name]
    return found.module or New(Activated, found.function or functions.exponential)


@rule("Activation")
def activation(layer: Layer, shapes: list[Shape]) -> Part:
    return activation_part(layer.config["activation"], as_module=True)


@rule("ReLU")
def relu(layer: Layer, shapes: list[Shape]) -> Part:
    slope, top, threshold = (layer.config[k] for k in ("negative_slope", "max_value", "threshold"))
    if not slope and not threshold and top is None:
        return Part(New(nn.ReLU))
    if not slope and not threshold and top == 6:
        return Part(New(nn.ReLU6))
    return Part(New(BoundedReLU, slope or 0.0, top, threshold or 0.0))


@rule("LeakyReLU")
def leaky_relu(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(nn.LeakyReLU, layer.config["negative_slope"]))


@rule("ELU")
def elu(layer: Layer, shapes: list[Shape]) -> Part:
    return Part(New(nn.ELU, layer.config["alpha"]))


@rule("PReLU")
def prelu(layer: Layer, shapes: list[Shape]) -> Part:
    shape = layer.weights["alpha"].shape
    if len(shape) == 1:  # (batch, features): torch's own has one slope a feature
        return Part(New(nn.PReLU, shape[0]), {"weight": Take("alpha")})
    return Part(New(PReLU, shape), {"weight": Take("alpha")})


@rule("Softmax")
def softmax(layer: Layer, shapes: list[Shape]) -> Part:
    axis = layer.config["axis"]
    if len(shapes) > 1:
        axes = tuple(map(int, axis if isinstance(axis, list) else [axis]))
        used = (functions.softmax_over, functions.softmax_kept)
        return Part(call=f"softmax_kept({{0}}, {{1}}, {axes})", functions=used)
    if isinstance(axis, list) and len(axis) > 1:
        return Part(call=f"softmax_over({{0}}, {tuple(map(int, axis))})", functions=(functions.softmax_over,))
    return Part(New(nn.Softmax, dim=axis if isinstance(axis, int) else axis[0]))
