"""Runs torch forms of ONNX operators as a converted model would: from their text, with copies of their functions."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch.nn import functional as F

from bridge.graph import Node
from bridge.torch_side.allowed import check
from bridge.torch_side.operators import OPERATORS
from bridge.torch_side.part import Part, literal

_CALLABLE = {"tuple", "float"}  # besides the part's own functions


def evaluate(node: Node, values: list[Any], known: list[np.ndarray | None]) -> list[Any]:
    """A node's outputs; constants of rank 0 reach the text as plain numbers, empty ones not at all."""
    part = OPERATORS[node.kind](node, known)
    return run(part, values, known, len(node.outputs))


def run(part: Part, values: list[Any], known: list[np.ndarray | None], outputs: int = 1) -> list[Any]:
    names = [_expression(i, constant) for i, constant in enumerate(known)]
    assert part.call is not None
    text = part.call.format(*names)
    scope: dict[str, Any] = {"torch": torch, "F": F, "Tensor": Tensor}
    for function in part.functions:
        exec("from __future__ import annotations\n" + inspect.getsource(function), scope)
    _check(text, {f.__name__ for f in part.functions})
    arguments = ", ".join(f"x{i}" for i in range(len(values)))
    check(f"def form({arguments}):\n    return {text}", {f.__name__ for f in part.functions}, set())
    scope |= {f"x{i}": value for i, value in enumerate(values)}
    result = eval(text, scope)
    assert isinstance(result, Tensor) if outputs == 1 else len(result) == outputs, text
    return [result] if outputs == 1 else list(result)


def _expression(index: int, constant: np.ndarray | None) -> str:
    if constant is None or (constant.ndim and constant.size):
        return f"x{index}"
    return literal(constant.item()) if constant.size else "None"


def _check(text: str, functions: set[str]) -> None:
    for part in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            assert part.func.id in functions | _CALLABLE, text
        assert not (isinstance(part, ast.Attribute) and part.attr.startswith("_")), text


def nodes_of(model: onnx.ModelProto) -> list[Node]:
    return [
        Node(
            n.name,
            n.op_type,
            list(n.input),
            list(n.output),
            attributes={a.name: helper.get_attribute_value(a) for a in n.attribute},
        )
        for n in model.graph.node
    ]


def run_model(model: onnx.ModelProto, feeds: dict[str, np.ndarray], constants: set[str]) -> list[np.ndarray]:
    """A model's outputs; the feeds named in constants count as initializers."""
    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    known |= {name: feeds[name] for name in constants}
    values = {name: to_torch(array) for name, array in {**feeds, **known}.items()}
    for node in nodes_of(model):
        inputs = [values[name] if name else None for name in node.inputs]
        constants = [known.get(name) for name in node.inputs]
        fixed = node.kind == "Constant" or all(known.get(name) is not None for name in node.inputs if name)
        if fixed and constants:  # whoever traces a model folds these: here the first input passes for a computed one
            constants[0] = None
        values |= dict(zip(node.outputs, evaluate(node, inputs, constants), strict=True))
        known |= {name: to_numpy(values[name]) for name in node.outputs if fixed}
    return [to_numpy(values[info.name]) for info in model.graph.output]


def to_torch(array: np.ndarray) -> Tensor:
    array = np.array(array, order="C")
    if array.dtype.name == "bfloat16":  # a type that numpy borrows from ml_dtypes, which torch does not know
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Tensor) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return (
            tensor.detach().view(torch.int16).numpy().view(helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))
        )
    return tensor.detach().numpy()
