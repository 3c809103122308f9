"""Every function of keras.activations in standard ONNX operators, and the layers that are one."""

from __future__ import annotations

import re
from typing import Any

from bridge.graph.bodies.masks import masked_softmax
from bridge.graph.body import Refused, body, integers, number
from bridge.graph.layer import Layer, Shape

# name -> lines that compute y from x, with Keras's default arguments
_PLAIN = {
    "linear": "y = Identity(x)",
    "relu": "y = Relu(x)",
    "relu6": number("zero", 0) + number("six", 6) + "y = Clip(x, zero, six)",  # which runtimes make part of a Conv
    "leaky_relu": "y = LeakyRelu <alpha = 0.2> (x)",
    "elu": "y = Elu <alpha = 1.0> (x)",
    "celu": "y = Celu <alpha = 1.0> (x)",
    "selu": "y = Selu <alpha = 1.6732632423543772, gamma = 1.0507009873554805> (x)",
    "sigmoid": "y = Sigmoid(x)",
    "tanh": "y = Tanh(x)",
    "exponential": "y = Exp(x)",
    "softplus": "y = Softplus(x)",
    "softsign": "y = Softsign(x)",
    "softmax": "y = Softmax <axis = -1> (x)",
    "log_softmax": "y = LogSoftmax <axis = -1> (x)",
    "silu": "s = Sigmoid(x)\ny = Mul(x, s)",
    "mish": "y = Mish(x)",
    "tanh_shrink": "t = Tanh(x)\ny = Sub(x, t)",
    "hard_tanh": number("low", -1) + number("high", 1) + "y = Clip(x, low, high)",
    "soft_shrink": "y = Shrink <bias = 0.5, lambd = 0.5> (x)",
    "hard_shrink": "y = Shrink <bias = 0.0, lambd = 0.5> (x)",
    "hard_sigmoid": number("zero", 0)
    + number("three", 3)
    + number("six", 6)
    + number("sixth", 1 / 6)
    + "shifted = Add(x, three)\nm = Clip(shifted, zero, six)\ny = Mul(m, sixth)",
    "hard_sigmoid_of_keras2": "y = HardSigmoid <alpha = 0.2, beta = 0.5> (x)",  # what Keras 1 and 2 called hard_sigmoid
    "hard_silu": number("zero", 0)
    + number("three", 3)
    + number("six", 6)
    + number("sixth", 1 / 6)
    + "shifted = Add(x, three)\nm = Clip(shifted, zero, six)\nd = Mul(m, sixth)\ny = Mul(x, d)",
    "log_sigmoid": "n = Neg(x)\np = Softplus(n)\ny = Neg(p)",
    "sparse_sigmoid": number("zero", 0)
    + number("one", 1)
    + number("half", 0.5)
    + "a = Add(x, one)\nb = Mul(a, half)\ny = Clip(b, zero, one)",
    "sparse_plus": number("zero", 0)
    + number("one", 1)
    + number("minus", -1)
    + number("quarter", 0.25)
    + "a = Add(x, one)\nb = Mul(a, a)\nc = Mul(b, quarter)\ninner = Less(x, one)\nd = Where(inner, c, x)\n"
    + "outer = LessOrEqual(x, minus)\ny = Where(outer, zero, d)",
    "squareplus": number("four", 4)
    + number("two", 2)
    + "a = Mul(x, x)\nb = Add(a, four)\nc = Sqrt(b)\nd = Add(x, c)\ny = Div(d, two)",
    "gelu": number("root2", 2**0.5)
    + number("half", 0.5)
    + number("one", 1)
    + "a = Div(x, root2)\nb = Erf(a)\nc = Add(b, one)\nd = Mul(x, half)\ny = Mul(d, c)",
    "glu": "left, right = Split <axis = -1, num_outputs = 2> (x)\ng = Sigmoid(right)\ny = Mul(left, g)",
    # z sorted downwards, s its running sums; k values are in the support: those with z_j > (s_j - 1) / j. Keras then
    # takes tau = (sum of s_j over the support - 1) / k, where Martins and Astudillo (2016) have (s_k - 1) / k.
    "sparsemax": number("one", 1)
    + number("zero", 0)
    + integers("last", [-1])
    + "dims = Shape(x)\nwidth = Gather <axis = 0> (dims, last)\n"
    + "sorted, order = TopK <axis = -1> (x, width)\naxis0 = Squeeze(last)\nsums = CumSum(sorted, axis0)\n"
    + "start = Constant <value_int = 1> ()\nwide = Squeeze(width)\nend = Add(wide, start)\n"
    + "ranks_i = Range(start, end, start)\nranks = CastLike(ranks_i, x)\nless = Sub(sums, one)\n"
    + "level = Div(less, ranks)\ninside = Greater(sorted, level)\nones = CastLike(inside, x)\n"
    + "k = ReduceSum <keepdims = 1> (ones, last)\nkept = Mul(ones, sums)\n"
    + "total = ReduceSum <keepdims = 1> (kept, last)\nexcess = Sub(total, one)\ntau = Div(excess, k)\n"
    + "d = Sub(x, tau)\ny = Max(d, zero)",
}
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}

ACTIVATIONS = frozenset(_PLAIN)


def activation_name(value: Any) -> str:
    """The name of an activation as a layer's config gives it: None, "relu", or Keras's serialized function.

    Raises Refused for anything else (a layer or a custom function: those are traced as nodes of their own).
    """
    if value is None:
        return "linear"
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = str(value.get("config")).removeprefix("bridge>")
    name = _ALIASES.get(value, value) if isinstance(value, str) else None
    if name not in _PLAIN:
        raise Refused(f"its activation {str(value)[:60]!r} is not one of keras.activations that work without arguments")
    return name


def activation_lines(value: Any, x: str, y: str) -> str:
    """Lines that compute `y` from `x`, for a body that has others: what is between is called by y's name too."""
    lines = _PLAIN[activation_name(value)]
    own = {name for line in lines.splitlines() for name in line.partition(" = ")[0].split(", ")}
    names = {name: f"{y}_{name}" for name in own} | {"x": x, "y": y}
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), lines) + "\n"


def final_word(layer: Layer, rank: int) -> str | None:
    """ "softmax" (over the last axis) or "sigmoid", if that is all that the layer computes.

    rank: of its output. Keras takes the loss of what ends so from the values before it.
    """
    if layer.kind == "Activation":
        try:
            name = activation_name(layer.config.get("activation"))
        except Refused:
            return None
        return name if name in ("softmax", "sigmoid") else None
    axis = layer.config.get("axis")
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    last = isinstance(axis, int) and rank > 0 and axis in (-1, rank - 1)
    masked = "call" in layer.config
    return "softmax" if layer.kind == "Softmax" and last and not masked else None


@body("Activation")
def activation(layer: Layer, shapes: list[Shape]) -> str:
    return _PLAIN[activation_name(layer.config["activation"])]


@body("ReLU")
def relu(layer: Layer, shapes: list[Shape]) -> str:
    """y = x above the threshold (at most max_value), else slope * (x - threshold)."""
    slope, top, threshold = (layer.config[k] for k in ("negative_slope", "max_value", "threshold"))
    slope, threshold = slope or 0.0, threshold or 0.0
    if not slope and not threshold:
        return "y = Relu(x)" if top is None else number("zero", 0) + number("top", top) + "y = Clip(x, zero, top)"
    if not threshold:
        leaky = f"LeakyRelu <alpha = {float(slope)!r}> (x)"
        return f"y = {leaky}" if top is None else number("top", top) + f"all = {leaky}\ny = Min(all, top)"
    lines = number("threshold", threshold) + number("slope", slope)
    lines += "below = Sub(x, threshold)\nsmall = Mul(below, slope)\npasses = Greater(x, threshold)\n"
    if top is None:
        return lines + "y = Where(passes, x, small)"
    return lines + number("top", top) + "kept = Min(x, top)\ny = Where(passes, kept, small)"


@body("LeakyReLU")
def leaky_relu(layer: Layer, shapes: list[Shape]) -> str:
    return f"y = LeakyRelu <alpha = {float(layer.config['negative_slope'])!r}> (x)"


@body("ELU")
def elu(layer: Layer, shapes: list[Shape]) -> str:
    return f"y = Elu <alpha = {float(layer.config['alpha'])!r}> (x)"


@body("PReLU")
def prelu(layer: Layer, shapes: list[Shape]) -> str:
    """y = relu(x) - alpha * relu(-x); alpha has x's shape without the batch, 1 on shared axes."""
    return "y = PRelu(x, alpha)"


@body("Softmax")
def softmax(layer: Layer, shapes: list[Shape]) -> str:
    """Over one axis or several; where there is a mask, of what it keeps."""
    axis = layer.config["axis"]
    axis = axis if isinstance(axis, list) else [axis]
    if len(axis) == 1:
        lines = f"{{y}} = Softmax <axis = {axis[0]}> ({{x}})"
    else:
        lines = integers("axes", axis) + "s = ReduceLogSumExp <keepdims = 1> ({x}, axes)\nd = Sub({x}, s)\n{y} = Exp(d)"
    return masked_softmax(lines) if len(shapes) > 1 else lines.format(x="x", y="y")
