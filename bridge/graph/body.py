"""The meaning of a layer in standard ONNX operators: the registry of layer bodies.

A body is a function from a layer to lines of ONNX's own text form, with the inputs `x` (or x0, x1, ... for layers that
take a list) and the layer's weights by name (`query_kernel` for that of a layer within it), and the output `y`; further
outputs are y1, y2, ... `number` and `integers` write constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import onnx
import onnx.parser

from bridge.errors import BridgeError
from bridge.graph.layer import Layer, Shape

OPSET = 18  # the newest that tf2onnx 1.17 writes
DOMAIN = "keras"
OWN_DOMAIN = "keras.own"  # of layers of the user's own, Keras's own are in "keras"
Body = Callable[[Layer, list[Shape]], str]
BODIES: dict[str, Body] = {}
# What a body or a rule raises for a config that lacks a value or has one of another type
UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, onnx.parser.ParseError)


class Refused(BridgeError):
    """A layer, or an option of it, that can't be converted; the message is the reason alone."""


def body(kind: str) -> Callable[[Body], Body]:
    """Registers the ONNX body of a Keras layer class.

    The function gets the layer and its tensor inputs' shapes (axis 0 is the batch) and returns lines of ONNX text.
    """

    def register(function: Body) -> Body:
        if kind in BODIES:
            raise ValueError(f"{kind} has two bodies: {BODIES[kind].__name__} and {function.__name__}")
        BODIES[kind] = function
        return function

    return register


def refuse_option(layer: Layer, **unsupported: Any) -> None:
    """Raises Refused if an option of the layer's config has another value than the only one that is done."""
    for option, only in unsupported.items():
        if layer.config.get(option, only) != only:
            raise Refused(f"its option {option}={layer.config[option]!r} is not supported, only {only!r}")


def call_tensors(layer: Layer, shapes: list[Shape]) -> dict[str, Shape]:
    """The shapes of a call's tensors by the names of its arguments (query, mask, state0, ...), in order.

    Only of layers whose config has them: those that take more tensors than one, or lists of them.
    """
    return dict(zip(layer.config["call"]["tensors"], shapes, strict=True))


def call_names(layer: Layer) -> dict[str, str]:
    """What a body calls these tensors: x alone, or x0, x1, ..."""
    tensors = layer.config["call"]["tensors"]
    return {tensors[0]: "x"} if len(tensors) == 1 else {name: f"x{i}" for i, name in enumerate(tensors)}


def number(name: str, value: float, like: str = "x") -> str:
    """A line that defines `name` as a scalar of the type of `like`."""
    return f"{name}_f = Constant <value_float = {_literal(value)}> ()\n{name} = CastLike({name}_f, {like})\n"


def numbers(name: str, values: Any, like: str = "x") -> str:
    """A line that defines `name` as a vector of the type of `like`."""
    listed = ", ".join(_literal(value) for value in values)
    return f"{name}_f = Constant <value_floats = [{listed}]> ()\n{name} = CastLike({name}_f, {like})\n"


def integers(name: str, values: Any) -> str:
    """A line that defines `name` as an int64 vector."""
    return f"{name} = Constant <value_ints = [{', '.join(str(int(value)) for value in values)}]> ()\n"


def _literal(value: float) -> str:
    text = repr(float(value))
    if not re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text):
        raise Refused(f"a constant of it is {text}")
    return text


def function_of(layer: Layer, shapes: list[Shape], outputs: int = 1) -> onnx.FunctionProto:
    """The layer's body as an ONNX function whose inputs are its tensors and its weights.

    Raises Refused for a layer without a body, or one whose config is not what Keras writes.
    """
    if layer.kind not in BODIES:
        raise Refused("there is no conversion for this kind of layer yet")
    try:
        return _function(layer, shapes, outputs)
    except UNREADABLE as error:
        raise Refused(f"its config can't be read ({type(error).__name__}: {str(error)[:80]})") from None


def _function(layer: Layer, shapes: list[Shape], outputs: int) -> onnx.FunctionProto:
    return parsed(BODIES[layer.kind](layer, shapes), layer, len(shapes), outputs, layer.kind)


def parsed(
    lines: str, layer: Layer, tensors: int, outputs: int, name: str, domain: str = DOMAIN, more: tuple[str, ...] = ()
) -> onnx.FunctionProto:
    """The lines of a body as a function of so many tensors and the layer's weights. Raises ParseError.

    more: attributes of the function's nodes besides those of every layer.
    """
    given = ["x"] if tensors == 1 else [f"x{i}" for i in range(tensors)]
    inputs = ", ".join([*given, *(word.replace("/", "_") for word in layer.weights)])
    results = ", ".join(["y", *(f"y{i}" for i in range(1, outputs))])
    return onnx.parser.parse_function(
        f'<domain: "{domain}", opset_import: ["" : {OPSET}]>\n'
        f"{name} <{', '.join([*ATTRIBUTES, *more])}> ({inputs}) => ({results})\n{{\n{lines}\n}}"
    )


def meaning(function: onnx.FunctionProto) -> bytes:
    """What is the same of two functions that compute the same, whichever overload each is."""
    bare = onnx.FunctionProto()
    bare.CopyFrom(function)
    bare.ClearField("overload")
    return bytes(bare.SerializeToString(deterministic=True))


# What a layer's node says about itself, besides its inputs. "split" marks a part of a layer, as
# its activation or activity penalty, "training" a call whose mode the model's own code fixed.
ATTRIBUTES = ("path", "config", "weights", "split", "training", "trainable")
