"""How standard operators are written in torch: as a person would, out of what may be copied, or refused."""

from __future__ import annotations

import builtins
import dis
import inspect
import re
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, numpy_helper

from bridge.graph import Node, Refused
from bridge.torch_side.operators import OPERATORS, operator
from bridge.torch_side.operators.functions import attention as functions_attention
from bridge.torch_side.operators.functions import common as operator_functions
from bridge.torch_side.operators.functions import loops
from bridge.torch_side.operators.functions import normal as functions_normal
from bridge.torch_side.operators.functions import quantized as functions_quantized
from bridge.torch_side.operators.functions import recurrent as functions_recurrent
from bridge.torch_side.operators.functions import sampling as functions_sampling
from bridge.torch_side.operators.functions import sequences as functions_sequences
from bridge.torch_side.operators.functions import signal as functions_signal
from bridge.torch_side.operators.functions import windows as functions_windows
from bridge.torch_side.writing.part import Part

OWN = [functions_attention, functions_normal, functions_quantized, functions_recurrent, functions_sampling]
OWN += [functions_sequences, functions_signal, functions_windows, loops, operator_functions]


def expression(kind: str, *known: np.ndarray | None, count: int = 1, **attributes: Any) -> str:
    node = Node("n", kind, [f"in{i}" for i in range(len(known))], ["out"] * count, attributes=attributes)
    call = OPERATORS[kind](node, list(known)).call
    assert call is not None
    return call.format(*"xyzuvw")


def test_expressions_read_as_a_person_would_write_them() -> None:
    two, ints = np.array(2, np.float32), lambda *values: np.array(values, np.int64)
    assert expression("Mul", None, two) == "(x * 2.0)"
    assert expression("Add", None, np.array(0.1, np.float32)) == "(x + 0.1)"
    assert expression("Pow", None, two) == "(x ** 2)"
    assert expression("Transpose", None, perm=[0, 2, 1]) == "x.permute(0, 2, 1)"
    assert expression("Reshape", None, ints(-1, 64)) == "x.reshape(-1, 64)"
    assert expression("ReduceMean", None, axes=[1], keepdims=0) == "x.mean(dim=1)"
    assert expression("Slice", None, ints(0), ints(2**31 - 1), ints(1)) == "x"
    assert expression("Slice", None, ints(1), ints(2**63 - 1), ints(1)) == "x[:, 1:]"
    assert expression("Slice", None, ints(0), ints(-1), ints(-1)) == "x[..., :-1]"
    assert expression("Gather", None, np.array(0), axis=1) == "x[:, 0]"
    assert expression("Concat", None, ints(8, 8), axis=0) == "torch.cat([x, x.new_tensor([8, 8])], dim=0)"
    assert expression("Pad", None, ints(0, 1, 0, 2)) == "F.pad(x, (1, 2), value=0)"
    assert expression("Cast", None, to=TensorProto.INT64) == "x.to(torch.int64)"
    assert expression("Split", None, ints(1, 2), count=2, axis=1) == "torch.split(x, (1, 2), dim=1)"


def test_shape_arithmetic_compiles_into_one_graph() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        shape = torch.tensor(x.shape, dtype=torch.int64, device=x.device)
        wanted = torch.cat([shape[0:1], shape.new_tensor([2, 3])], dim=0)
        return x.reshape(wanted.tolist())

    assert expression("Shape", None) == "torch.tensor(x.shape, dtype=torch.int64, device=x.device)"
    compiled = torch.compile(forward, fullgraph=True, backend="eager")
    assert compiled(torch.ones(4, 6)).shape == (4, 2, 3)


@pytest.mark.parametrize(
    ("kind", "known", "attributes", "reason"),
    [
        ("ReduceSum", [None, None], {"noop_with_empty_axes": 1}, "ReduceSum with axes that are computed at run time"),
        ("CumSum", [None, None], {}, "CumSum with axes that are computed at run time"),
        ("LRN", [None], {"size": 4}, "LRN over an even number of channels"),
        ("LSTM", [None] * 3, {"activations": [b"Affine"] * 3}, "LSTM with the activation 'Affine'"),
        ("Conv", [None, None], {"auto_pad": b'"); quit("'}, "Conv with an unknown auto_pad"),
        ("Cast", [None], {"to": TensorProto.STRING}, "the element type string"),
        ("Cast", [None], {"to": TensorProto.FLOAT8E5M2}, "the element type float8e5m2"),
        ("Dropout", [None, None, None], {}, "Dropout that the graph itself switches on"),
        ("Einsum", [None], {"equation": b'a"); quit("'}, "Einsum with an equation of other than letters"),
        ("Pad", [None], {"mode": b'"); quit("'}, "Pad with an unknown mode"),
        ("Softmax", [None], {"axis": b"__import__"}, "the attribute axis of Softmax is no integer"),
        ("Elu", [None], {"alpha": b"1"}, "the attribute alpha of Elu is no number"),
        ("Transpose", [None], {"perm": b"quit()"}, "the attribute perm of Transpose is no list of integers"),
        ("LayerNormalization", [None, None], {"stash_type": 11}, "another type than float32"),
        ("Where", [np.array(True), None, None], {}, "Where with a constant for a condition"),
        ("Trilu", [None, np.array([1, 2])], {}, "one number was expected"),
        ("Constant", [], {"value_string": b"x"}, "Constant with a value that is no tensor of numbers"),
        ("Constant", [], {"value": numpy_helper.from_array(np.zeros(65))}, "more elements than source text"),
    ],
)
def test_a_form_that_is_not_covered_is_refused(
    kind: str, known: list[Any], attributes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Refused, match=re.escape(reason)):
        expression(kind, *known, **attributes)


def test_a_constant_in_another_file_is_refused() -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    for kind, known in (("Constant", []), ("ConstantOfShape", [None])):
        with pytest.raises(Refused, match="a value that is in another file"):
            expression(kind, *known, value=tensor)


@pytest.mark.parametrize("module", OWN, ids=lambda module: module.__name__)
def test_functions_that_are_copied_use_torch_and_each_other_alone(module: types.ModuleType) -> None:
    own = {name: thing for name, thing in vars(module).items() if inspect.isfunction(thing)}
    for name, function in own.items():
        assert function.__module__ == module.__name__, f"{name} is of another module, where its own needs are found"
        names = {word for code in _codes(function.__code__) for word in _globals(code)}
        assert names <= {*own, "torch", "F", "Tensor", "math", "Callable", *dir(builtins)}, name


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)


def _globals(code: types.CodeType) -> set[str]:
    return {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}


def test_a_second_form_of_an_operator_is_an_error() -> None:
    with pytest.raises(ValueError, match="Relu has two operators: form and again"):

        @operator("Relu")
        def again(node: Node, known: list[np.ndarray | None]) -> Part:
            return Part(call="{0}")
