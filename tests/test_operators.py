"""Standard operators in torch against ONNX's reference implementation and the ONNX project's own node tests."""

from __future__ import annotations

import builtins
import dis
import inspect
import re
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import OptionalProto, SequenceProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from operator_cases import CASES as FIRST
from operator_cases import Case
from operator_cases_more import IN_NODE_TESTS, MORE
from operator_runner import compiled, evaluate, nodes_of, run_model, to_torch

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

# ONNX's node tests that are out of scope, and why. Each must fail, so that none stays here without need.
EXCLUDED = {
    r"_(add|sub|div|max|min|mod|greater|greater_equal|less|less_equal)_uint(16|32|64)": "torch has no such arithmetic",
    r"bitwise_not_3d": "torch inverts no uint16",
    r"cast(like)?_.*(FLOAT8|FLOAT4|INT4|INT2|E8M0|STRING)": "a type that torch, or numpy, has no arithmetic for",
    r"(float8|float4|e4m3fn|e5m2|int4|int2)": "the same types, quantized and cast by their bits",
    r"(equal_string|string_|strnormalizer|regex_full_match|tfidfvectorizer|label_encoder|identity_string)": "text",
    r"image_decoder": "files of images",
    r"training_dropout|bernoulli": "random numbers, drawn as one library does",
    r"^test_(adam|adagrad|momentum|nesterov)": "steps of training, which are the caller's",
    r"^test_ai_onnx_ml": "trees and tables of ai.onnx.ml, which no layered model holds",
    r"flexattention(?!.*_expanded)": "a preview, which no released opset has",
    r"reduce_(max|min)_empty_set": "torch has no maximum of nothing",
    r"attention_.*(bf16|causal_fp16)": "expected values come from another order of half-precision rounding",
    r"^test_scan_sum": "Scan in its form of opset 8, with a batch of its own",
}
NEWER = {"Gelu", "RMSNormalization", "Swish", "SwiGLU", "CumProd", "TensorScatter", "BitCast", "Attention"}
NEWER |= {
    "RotaryEmbedding",
    "LinearAttention",
    "CausalConvWithState",
    "AffineGrid",
    "GroupNormalization",
    "DequantizeLinear",
}
FLOOR = 1550  # of these tests pass at least: 1,591 of 1,884 with onnx 1.23, other versions have more or fewer
FLAT = {"Sign", "Ceil", "Floor", "Round", "Shape", "Size", "ConstantOfShape", "EyeLike", "NonZero", "IsNaN", "IsInf"}
FLAT |= {
    "ArgMax",
    "ArgMin",
    "Equal",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "Range",
    "Unique",
    "Hardmax",
    "MelWeightMatrix",
}


CASES = [*FIRST, *MORE]
OWN = [functions_attention, functions_normal, functions_quantized, functions_recurrent, functions_sampling]
OWN += [functions_sequences, functions_signal, functions_windows, loops, operator_functions]


def model_of(case: Case) -> onnx.ModelProto:
    names = ["" if value is None else f"in{i}" for i, value in enumerate(case.inputs)]
    outputs = [f"out{i}" for i in range(case.outputs)]
    node = helper.make_node(case.kind, names, outputs, **case.attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in zip(names, case.inputs, strict=True)
        if name
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs]
    graph = helper.make_graph([node], "case", inputs, infos)
    opset = max(18, onnx.defs.get_schema(case.kind).since_version if case.kind in NEWER else 0)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def known_of(case: Case) -> list[np.ndarray | None]:
    return [value if i in case.constants else None for i, value in enumerate(case.inputs)]


def assert_same(got: np.ndarray, expected: Any, rtol: float = 2e-6, atol: float = 2e-6) -> None:
    expected = np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind in "fV":
        np.testing.assert_allclose(got.astype(np.float64), expected.astype(np.float64), rtol=rtol, atol=atol)
    else:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operator_computes_what_onnx_says(case: Case) -> None:
    model = model_of(case)
    feeds = {f"in{i}": value for i, value in enumerate(case.inputs) if value is not None}
    with np.errstate(all="ignore"):
        expected = ReferenceEvaluator(model).run(None, feeds)
    (node,) = nodes_of(model)
    tensors = [None if value is None else to_torch(value) for value in case.inputs]
    for got, wanted in zip(evaluate(node, tensors, known_of(case)), expected, strict=True):
        assert_same(got.numpy(), wanted)


def test_every_operator_has_a_case() -> None:
    assert {case.kind for case in CASES} | IN_NODE_TESTS == set(OPERATORS)


def differentiable(case: Case) -> bool:
    computed = [v for v, known in zip(case.inputs, known_of(case), strict=True) if v is not None and known is None]
    to_integers = case.kind in ("Cast", "CastLike") and case.attributes.get("to") != TensorProto.DOUBLE
    wanted = any(v.dtype == np.float32 for v in computed) and all(v.size for v in case.inputs if v is not None)
    return wanted and not to_integers and case.kind not in FLAT


@pytest.mark.parametrize("case", [case for case in CASES if differentiable(case)], ids=str)
def test_gradients_flow_to_every_float_input(case: Case) -> None:
    (node,) = nodes_of(model_of(case))
    known = known_of(case)
    wide = [v.astype(np.float64) if v is not None and v.dtype == np.float32 else v for v in known]
    values = [None if v is None else to_torch(v) for v in case.inputs]
    values = [v.double() if v is not None and v.dtype == torch.float32 else v for v in values]
    free = [i for i, v in enumerate(values) if v is not None and v.is_floating_point() and known[i] is None]
    for i in free:
        values[i].requires_grad_()

    run = compiled(node, values, wide)

    def function(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = [tensors[free.index(i)] if i in free else v for i, v in enumerate(values)]
        return tuple(out for out in run(given) if out.is_floating_point())

    assert all(out.requires_grad for out in function(*[values[i] for i in free]))
    assert torch.autograd.gradcheck(function, [values[i] for i in free], fast_mode=True)


@pytest.fixture(scope="module")
def node_tests() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # making their values overflows on purpose
        from onnx.backend.test.loader import load_model_tests

        return load_model_tests(kind="node")


def array(value: Any) -> Any:
    """A test's value: an array, a list for a sequence, None for what is absent."""
    if isinstance(value, SequenceProto):
        return [np.asarray(each) for each in numpy_helper.to_list(value)]
    if isinstance(value, OptionalProto):
        return array(numpy_helper.to_optional(value))
    if isinstance(value, list | tuple):
        return [array(each) for each in value]
    if value is None:
        return None
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def outcome(test: Any, constant: bool) -> str:
    """ "" if a node test is met, else why not; constant: all inputs but the first are constants."""
    ((inputs, expected),) = test.data_sets
    names = [info.name for info in test.model.graph.input]
    feeds = {name: array(value) for name, value in zip(names, inputs, strict=True)}
    fixed = {name for name in names[1:] if constant and isinstance(feeds[name], np.ndarray)}
    try:
        found = run_model(test.model, feeds, fixed)
        for got, wanted in zip(found, expected, strict=True):
            assert_alike(got, array(wanted), test.rtol)
    except Exception as reason:  # whatever fails, this test is not met
        return f"{type(reason).__name__}: {reason}"
    return ""


def assert_alike(got: Any, wanted: Any, rtol: float) -> None:
    if isinstance(wanted, list):
        assert isinstance(got, list)
        for one, other in zip(got, wanted, strict=True):
            assert_alike(one, other, rtol)
    elif wanted is None:
        assert got is None
    else:
        assert_same(got, wanted, rtol, 1e-6)


@pytest.mark.slow
def test_the_onnx_projects_node_tests_pass(node_tests: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    failed, needless, passed = [], [], 0
    for test in node_tests:
        reasons = [outcome(test, constant=True)]
        if len(test.model.graph.input) > 1:
            reasons.append(outcome(test, constant=False))
        if "computed at run time" in reasons[-1] and not reasons[0]:
            reasons[-1] = ""  # axes and the like are constants in what tf2onnx writes
        bad = [reason for reason in reasons if reason]
        excluded = any(re.search(pattern, test.name) for pattern in EXCLUDED)
        passed += not bad
        if bad and not excluded:
            failed.append(f"{test.name}: {bad[0][:200]}")
        elif excluded and not bad:
            needless.append(test.name)
    with capsys.disabled():
        print(f"\nONNX node tests: {passed} of {len(node_tests)} pass")
    assert not failed, "\n".join(failed)
    assert not needless
    assert passed >= FLOOR


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


SHAPES = """
<ir_version: 8, opset_import: ["" : 18]>
agraph (float[n, 6] x) => (float[n, 2, 3] y)
<int64[1] zero = {0}, int64[1] one = {1}, int64[1] far = {9}, int64[2] tail = {2, 3}, float[1] half = {0.5}>
{
    shape = Shape(x)
    beyond = Slice(shape, one, far, zero)
    batch = Slice(shape, zero, one, zero)
    small = Cast<to = 6>(batch)
    back = Cast<to = 7>(small)
    wanted = Concat<axis = 0>(back, tail)
    halves = Expand(half, wanted)
    same = Concat<axis = 0>(back, beyond)
    rows = Reshape(x, same)
    parts = Reshape(rows, wanted)
    y = Mul(parts, halves)
}
"""


def test_shape_arithmetic_follows_any_batch_size() -> None:
    model = onnx.parser.parse_model(SHAPES)
    for rows in (1, 3, 5):
        x = np.random.default_rng(rows).normal(size=(rows, 6)).astype(np.float32)
        (got,) = run_model(model, {"x": x}, set())
        assert_same(got, ReferenceEvaluator(model).run(None, {"x": x})[0])


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
