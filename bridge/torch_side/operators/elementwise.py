"""Operators that work element by element: arithmetic, activations, comparison, logic, casts."""

from __future__ import annotations

import numpy as np
from onnx import helper

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import (
    Known,
    Operator,
    dtype,
    integer,
    number,
    operands,
    operator,
    present,
    scalar,
    tensor,
    value_of,
    word,
)
from bridge.torch_side.operators.functions import common as functions
from bridge.torch_side.writing.part import Part, literal

_UNARY = {
    "Abs": "torch.abs",
    "Sign": "torch.sign",
    "Sqrt": "torch.sqrt",
    "Reciprocal": "torch.reciprocal",
    "Exp": "torch.exp",
    "Log": "torch.log",
    "Ceil": "torch.ceil",
    "Floor": "torch.floor",
    "Round": "torch.round",
    "Erf": "torch.erf",
    "Sin": "torch.sin",
    "Cos": "torch.cos",
    "Tan": "torch.tan",
    "Asin": "torch.asin",
    "Acos": "torch.acos",
    "Atan": "torch.atan",
    "Sinh": "torch.sinh",
    "Cosh": "torch.cosh",
    "Asinh": "torch.asinh",
    "Acosh": "torch.acosh",
    "Atanh": "torch.atanh",
    "Relu": "torch.relu",
    "Sigmoid": "torch.sigmoid",
    "Tanh": "torch.tanh",
    "Softplus": "F.softplus",
    "Softsign": "F.softsign",
    "Mish": "F.mish",
    "HardSwish": "F.hardswish",
    "IsNaN": "torch.isnan",
}
_BINARY = {
    "Add": "+",
    "Sub": "-",
    "Mul": "*",
    "Equal": "==",
    "Greater": ">",
    "GreaterOrEqual": ">=",
    "Less": "<",
    "LessOrEqual": "<=",
    "And": "&",
    "Or": "|",
    "Xor": "^",
    "BitwiseAnd": "&",
    "BitwiseOr": "|",
    "BitwiseXor": "^",
}
_WRITTEN_OUT = 64  # elements of a constant


def _call(text: str) -> Operator:
    def form(node: Node, known: Known) -> Part:
        return Part(call=text)

    return form


def _infix(symbol: str) -> Operator:
    def form(node: Node, known: Known) -> Part:
        left, right = operands(known)
        return Part(call=f"({left} {symbol} {right})")

    return form


for _kind, _function in _UNARY.items():
    operator(_kind)(_call(f"{_function}({{0}})"))
for _kind, _symbol in _BINARY.items():
    operator(_kind)(_infix(_symbol))
operator("Neg")(_call("(-{0})"))
operator("Not", "BitwiseNot")(_call("(~{0})"))
operator("Identity")(_call("{0}"))
operator("PRelu")(_call("torch.where({0} < 0, {0} * {1}, {0})"))


@operator("Div")
def divide(node: Node, known: Known) -> Part:
    """Of integers it is cut toward zero, so the type decides, at run time where no constant tells it."""
    left, right = operands(known)
    if any(value is not None and np.issubdtype(value.dtype, np.floating) for value in known):
        return Part(call=f"({left} / {right})")
    return Part(call=f"divide({tensor(known, 0, 1)}, {right})", functions=(functions.divide,))


@operator("Mod")
def mod(node: Node, known: Known) -> Part:
    left, right = operands(known)
    if integer(node, "fmod", 0):
        return Part(call=f"torch.fmod({tensor(known, 0, 1)}, {right})")
    return Part(call=f"torch.remainder({left}, {right})")


@operator("Pow")
def power(node: Node, known: Known) -> Part:
    """The type is that of the base."""
    base, exponent = known
    if base is not None and base.ndim == 0 and exponent is None:
        own = "" if base.dtype == np.float32 else f".to(torch.{base.dtype.name})"  # a plain number has no type to give
        return Part(call=f"torch.pow({scalar(base)}, {{1}}){own}")
    if exponent is not None and exponent.ndim == 0 and float(exponent).is_integer():
        return Part(call=f"({{0}} ** {int(exponent)})")
    right = "{1}" if exponent is None or exponent.ndim else scalar(exponent)
    return Part(call=f"power({{0}}, {right})", functions=(functions.power,))


def _extreme(function: str, bound: str) -> Operator:
    def form(node: Node, known: Known) -> Part:
        texts = operands(known)
        tensors = [text for text in texts if text.startswith("{")]
        call = tensors[0]
        for text in tensors[1:]:
            call = f"{function}({call}, {text})"
        for text in texts:
            if not text.startswith("{"):
                call = f"torch.clamp({call}, {bound}={text})"
        return Part(call=call)

    return form


operator("Max")(_extreme("torch.maximum", "min"))
operator("Min")(_extreme("torch.minimum", "max"))


@operator("Sum")
def sum_of(node: Node, known: Known) -> Part:
    return Part(call=f"({' + '.join(operands(known))})")


@operator("Mean")
def mean_of(node: Node, known: Known) -> Part:
    return Part(call=f"(({' + '.join(operands(known))}) / {len(known)})")


@operator("Clip")
def clip(node: Node, known: Known) -> Part:
    bounds = []
    fixed = all(known[index] is not None for index in (1, 2) if present(node, index))
    for index, name in ((1, "min"), (2, "max")):
        if name in node.attributes:
            bounds.append(f"{name}={literal(number(node, name, 0.0))}")
        elif present(node, index):
            value = known[index]  # torch takes two numbers or two tensors
            bounds.append(f"{name}={scalar(value) if fixed and value is not None else tensor(known, index, 0)}")
    return Part(call=f"torch.clamp({{0}}, {', '.join(bounds)})" if bounds else "{0}")


@operator("LeakyRelu")
def leaky_relu(node: Node, known: Known) -> Part:
    return Part(call=f"F.leaky_relu({{0}}, {number(node, 'alpha', 0.01)!r})")


@operator("Elu")
def elu(node: Node, known: Known) -> Part:
    return Part(call=f"F.elu({{0}}, {number(node, 'alpha', 1.0)!r})")


@operator("Celu")
def celu(node: Node, known: Known) -> Part:
    return Part(call=f"F.celu({{0}}, {number(node, 'alpha', 1.0)!r})")


@operator("Selu")
def selu(node: Node, known: Known) -> Part:
    if not {"alpha", "gamma"} & node.attributes.keys():
        return Part(call="F.selu({0})")
    alpha = number(node, "alpha", 1.6732632423543772)
    return Part(call=f"({number(node, 'gamma', 1.0507009873554805)!r} * F.elu({{0}}, {alpha!r}))")


@operator("HardSigmoid")
def hard_sigmoid(node: Node, known: Known) -> Part:
    return Part(call=f"torch.clamp({number(node, 'alpha', 0.2)!r} * {{0}} + {number(node, 'beta', 0.5)!r}, 0, 1)")


@operator("ThresholdedRelu")
def thresholded_relu(node: Node, known: Known) -> Part:
    return Part(call=f"F.threshold({{0}}, {number(node, 'alpha', 1.0)!r}, 0.0)")


@operator("Shrink")
def shrink(node: Node, known: Known) -> Part:
    bias, edge = number(node, "bias", 0.0), number(node, "lambd", 0.5)
    inner = f"torch.where({{0}} > {edge!r}, {{0}} - {bias!r}, 0)"
    return Part(call=f"torch.where({{0}} < {-edge!r}, {{0}} + {bias!r}, {inner})")


@operator("Gelu")
def gelu(node: Node, known: Known) -> Part:
    return Part(call=f'F.gelu({{0}}, approximate="{word(node, "approximate", "none", "tanh")}")')


@operator("Softmax")
def softmax(node: Node, known: Known) -> Part:
    return Part(call=f"torch.softmax({{0}}, dim={integer(node, 'axis', -1)})")


@operator("LogSoftmax")
def log_softmax(node: Node, known: Known) -> Part:
    return Part(call=f"torch.log_softmax({{0}}, dim={integer(node, 'axis', -1)})")


@operator("Where")
def where(node: Node, known: Known) -> Part:
    if known[0] is not None and known[0].ndim == 0:
        raise Refused("Where with a constant for a condition")
    chosen, other = operands(known, (1, 2))
    if all(value is not None and not value.ndim for value in known[1:]):  # torch gives plain numbers its own types
        kind = known[1].dtype.name
        own = f".to(torch.{kind})" if kind not in ("float32", "int64", "bool") else ""
        return Part(call=f"torch.where({{0}}, {scalar(known[1])}, {scalar(known[2])}){own}")
    return Part(call=f"torch.where({{0}}, {chosen}, {other})")


@operator("IsInf")
def is_infinite(node: Node, known: Known) -> Part:
    negative, positive = integer(node, "detect_negative", 1), integer(node, "detect_positive", 1)
    if not negative and not positive:
        return Part(call="torch.zeros_like({0}, dtype=torch.bool)")
    function = "torch.isinf" if negative and positive else "torch.isneginf" if negative else "torch.isposinf"
    return Part(call=f"{function}({{0}})")


@operator("BitShift")
def bit_shift(node: Node, known: Known) -> Part:
    left = word(node, "direction", "LEFT", "RIGHT") == "LEFT"
    call = f"bit_shift({tensor(known, 0, 1)}, {operands(known)[1]}, {left})"
    return Part(call=call, functions=(functions.bit_shift,))


@operator("Cast")
def cast(node: Node, known: Known) -> Part:
    return Part(call=f"{{0}}.to({dtype(integer(node, 'to', 0))})")


@operator("CastLike")
def cast_like(node: Node, known: Known) -> Part:
    if known[1] is not None:
        return Part(call=f"{{0}}.to({dtype(helper.np_dtype_to_tensor_dtype(known[1].dtype))})")
    text = tensor(known, 0, 1)
    return Part(call=text if text != "{0}" else "{0}.to({1}.dtype)")


@operator("Dropout")
def dropout(node: Node, known: Known) -> Part:
    """Of a graph traced for inference: nothing is dropped."""
    none = present(node, 1) and known[1] is not None and not known[1].any()  # a rate of 0
    if not none and present(node, 2) and (known[2] is None or bool(known[2])):
        raise Refused("Dropout that the graph itself switches on")
    return Part(call="{0}" if len(node.outputs) == 1 else "({0}, torch.ones_like({0}, dtype=torch.bool))")


@operator("Constant")
def constant_value(node: Node, known: Known) -> Part:
    """On the CPU, for want of an input that says where; see value_of for a better place."""
    value = value_of(node)
    if value.size > _WRITTEN_OUT:
        raise Refused("a Constant node of more elements than source text should hold")
    if value.dtype.name not in _WRITABLE:
        raise Refused(f"a Constant node of type {value.dtype.name}")
    return Part(call=f"torch.tensor({_nested(value)}, dtype=torch.{value.dtype.name})")


_WRITABLE = frozenset(["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"])


def _nested(value: np.ndarray) -> str:
    return scalar(value) if value.ndim == 0 else f"[{', '.join(_nested(item) for item in value)}]"
