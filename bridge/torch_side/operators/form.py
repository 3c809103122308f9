"""The registry of torch forms of standard ONNX operators, and how they read attributes and constants.

Only checked numbers, and words from a list, go from a model file into source text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from bridge.graph import Node, Refused
from bridge.torch_side.writing.part import Part, literal

Known = list[np.ndarray | None]
Operator = Callable[[Node, Known], Part]
OPERATORS: dict[str, Operator] = {}
_SHORT = 8  # integer constants up to this size are written out
_DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
    TensorProto.UINT16: "uint16",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
}


def operator(*kinds: str) -> Callable[[Operator], Operator]:
    """Registers the torch form of standard ONNX operators, as of opset 18.

    The function gets the node and, for each input, its value where that is a constant: no weight is one. It raises
    Refused when it must. The call of an operator with several outputs is a tuple of as many as the node names.
    """

    def register(function: Operator) -> Operator:
        for kind in kinds:
            if kind in OPERATORS:
                raise ValueError(f"{kind} has two operators: {OPERATORS[kind].__name__} and {function.__name__}")
            OPERATORS[kind] = function
        return function

    return register


def present(node: Node, index: int) -> bool:
    """Whether an optional input is there."""
    return index < len(node.inputs) and node.inputs[index] != ""


def constant(node: Node, known: Known, index: int, what: str) -> np.ndarray | None:
    """An input that must be a constant; None when it is absent. Raises Refused when it is computed."""
    if not present(node, index):
        return None
    value = known[index]
    if value is None:
        raise Refused(f"{node.kind} with {what} that are computed at run time")
    return value


def integer(node: Node, name: str, default: int) -> int:
    value = node.attributes.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise Refused(f"the attribute {name} of {node.kind} is no integer")
    return int(value)


def integers(node: Node, name: str) -> tuple[int, ...] | None:
    """A list of integers, None when it is absent."""
    values = node.attributes.get(name)
    if values is None:
        return None
    if isinstance(values, bytes | str) or not all(isinstance(v, int | np.integer) for v in values):
        raise Refused(f"the attribute {name} of {node.kind} is no list of integers")
    return tuple(int(v) for v in values)


def number(node: Node, name: str, default: float) -> float:
    """A float32 attribute as the shortest decimal that means it."""
    value = node.attributes.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise Refused(f"the attribute {name} of {node.kind} is no number")
    return float(str(np.float32(value)))


def word(node: Node, name: str, default: str, *allowed: str) -> str:
    """A string attribute, which must be one of `allowed`."""
    value = node.attributes.get(name, default)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    if text not in (default, *allowed):
        raise Refused(f"{node.kind} with an unknown {name}")
    return text


def dims(node: Node, known: Known, index: int, name: str = "axes") -> tuple[int, ...] | None:
    """Axes or sizes that are an attribute in old opsets and a constant input in new ones; None when absent."""
    if name in node.attributes:
        return integers(node, name)
    value = constant(node, known, index, name)
    return None if value is None else tuple(int(v) for v in np.ravel(value))


def dtype(code: int) -> str:
    """ONNX's number for an element type as torch's word for it."""
    if code not in _DTYPES:
        raise Refused(f"the element type {TensorProto.DataType.Name(code).lower()}, which is not supported")
    return f"torch.{_DTYPES[code]}"


def scalar(value: np.ndarray) -> str:
    """A constant of one element as a literal; torch gives it the type of the tensor it meets."""
    item = value.reshape(()).item()
    if isinstance(item, bool | int):
        return literal(item)
    if value.dtype == np.float32 and abs(item) < 3e38:  # the shortest word for the largest number is beyond it
        item = float(str(np.float32(item)))
    return literal(float(item))


def tensor(known: Known, index: int, like: int) -> str:
    """An input that must be a tensor: a constant of rank 0 becomes one of the type and device of another input."""
    value = known[index]
    return f"{{{like}}}.new_tensor({scalar(value)})" if value is not None and not value.ndim else f"{{{index}}}"


def operands(known: Known, indices: tuple[int, ...] | None = None) -> list[str]:
    """The inputs as text, constants of rank 0 as plain numbers where another input brings type and device."""
    listed = range(len(known)) if indices is None else indices
    if all(known[i] is not None for i in listed):
        return [f"{{{i}}}" for i in listed]
    return [_operand(known[i], i) for i in listed]


def _operand(value: np.ndarray | None, index: int) -> str:
    return f"{{{index}}}" if value is None or value.ndim else scalar(value)


def whole(node: Node, known: Known, index: int, default: int | None = None) -> str:
    """An input of one integer as text: a literal, or read from the tensor at run time."""
    if not present(node, index):
        return str(default)
    value = known[index]
    return f"{{{index}}}.item()" if value is None else str(_one(value))


def _one(value: np.ndarray) -> int:
    if value.size != 1:
        raise Refused("one number was expected where a constant has several")
    return int(value.reshape(()))


def sizes(node: Node, known: Known, index: int) -> str:
    """A vector of integers as text: a tuple, or read from the tensor at run time."""
    value = known[index]
    return f"{{{index}}}.tolist()" if value is None else literal(tuple(int(v) for v in value.reshape(-1)))


def short_integers(value: np.ndarray | None) -> list[int] | None:
    """The items of a constant that is a short vector of int64 or int32, so short that it is written out."""
    if value is None or value.ndim != 1 or value.size > _SHORT or value.dtype not in (np.int64, np.int32):
        return None
    return [int(v) for v in value]


def value_of(node: Node) -> np.ndarray:
    """The array that a Constant node, or the value attribute of another, stands for."""
    attributes: dict[str, Any] = node.attributes
    if "value" in attributes:
        if attributes["value"].data_location == TensorProto.EXTERNAL:
            raise Refused(f"{node.kind} with a value that is in another file")
        return numpy_helper.to_array(attributes["value"])
    for name, kind in (("value_float", np.float32), ("value_int", np.int64)):
        if name in attributes:
            return np.array(attributes[name], kind)
        if name + "s" in attributes:
            return np.array(attributes[name + "s"], kind).reshape(-1)
    raise Refused(f"{node.kind} with a value that is no tensor of numbers")


def outputs(node: Node, call: str, count: int) -> str:
    """The call of an operator that gives a tuple of `count`, cut to what the node names."""
    used = len(node.outputs)
    return call if used == count else f"{call}[0]" if used == 1 else f"{call}[:{used}]"
