"""Standard operators in torch against ONNX's reference implementation and the ONNX project's own node tests."""

from __future__ import annotations

import re
import warnings
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

from bridge.torch_side.operators import OPERATORS

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


SHAPES = """
<ir_version: 8, opset_import: ["" : 18]>
agraph (float[n, 6] x) => (float[n, 2, 3] y)
<int64[1] zero = {0}, int64[1] one = {1}, int64[1] far = {9}, int64[2] tail = {2, 3}, float[1] half = {0.5},
 int64[2] behind = {2, -1}>
{
    shape = Shape(x)
    beyond = Slice(shape, one, far, zero)
    batch = Slice(shape, zero, one, zero)
    small = Cast<to = 6>(batch)
    back = Cast<to = 7>(small)
    wanted = Concat<axis = 0>(back, tail)
    halves = Expand(half, wanted)
    same = Concat<axis = 0>(back, beyond)
    twice = Concat<axis = 0>(shape, shape)
    again = Gather(twice, behind)
    itself = Reshape(x, again)
    rows = Reshape(itself, same)
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
