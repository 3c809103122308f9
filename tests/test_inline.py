"""Inlining: paddings become a part of what stands behind them, where that is the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser, shape_inference

from bridge.graph import inlined

AROUND, ALL = [0, 2, 1, 0, 0, 0, 1, 0], [0, 1, 2, 3]


def padded(pads: list[int] = AROUND, axes: list[int] = ALL, value: float = 0.0) -> str:
    return (
        f"pads = Constant <value_ints = {pads}>()\naxes = Constant <value_ints = {axes}>()\n"
        f"one = Constant <value_float = {value}>()\nvalue = CastLike(one, u)\npadded = Pad(u, pads, value, axes)\n"
    )


FIRST = "first = Transpose <perm = [0, 3, 1, 2]>(padded)\n"
CONV = "y = Conv <kernel_shape = [3, 3], pads = [0, 1, 0, 1]>(first, w)\n"
POOL = "y = MaxPool <kernel_shape = [3, 3], strides = [2, 1]>(first)\n"
TWICE = CONV.replace("y", "v") + "largest = ReduceMax(first)\ny = Mul(v, largest)\n"
BARE = f"pads = Constant <value_ints = {AROUND}>()\npadded = Pad(u, pads)\n"
RELU, SAME = "u = Relu(x)\n", "u = Identity(x)\n"


def model(lines: str) -> onnx.ModelProto:
    proto = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]>\n'
        f"model (float[N, 6, 5, 2] x, float[4, 2, 3, 3] w) => (float[N, A, B, C] y) {{\n{lines}}}"
    )
    onnx.checker.check_model(proto, full_check=True)
    return shape_inference.infer_shapes(proto)


@pytest.mark.parametrize(
    ("lines", "pads"),
    [
        pytest.param(SAME + padded() + FIRST + CONV, [2, 2, 0, 2], id="before_a_convolution"),
        pytest.param(SAME + BARE + FIRST + CONV, [2, 2, 0, 2], id="without_axes_and_value"),
        pytest.param(RELU + padded() + FIRST + POOL, [2, 1, 0, 1], id="before_a_pooling_behind_a_relu"),
        pytest.param(SAME + padded() + FIRST + POOL, None, id="before_a_pooling_of_any_values"),
        pytest.param(RELU + padded() + FIRST + POOL.replace("3, 3", "2, 2"), None, id="as_wide_as_the_window"),
        pytest.param(RELU + padded() + FIRST + POOL.replace("strides", "dilations"), None, id="windows_with_gaps"),
        pytest.param(SAME + padded() + FIRST + "z = Neg(first)\n" + CONV.replace("first", "z"), None, id="not_next"),
        pytest.param(SAME + padded() + FIRST + TWICE, None, id="read_twice"),
        pytest.param(SAME + padded(value=1.0) + FIRST + CONV, None, id="of_ones"),
        pytest.param(SAME + padded([0, 2, -1, 0, 0, 0, 1, 0]) + FIRST + CONV, None, id="that_cuts"),
        pytest.param(SAME + padded([2, 1, 0, 1], [1, 2]) + FIRST + CONV, None, id="of_some_axes"),
        pytest.param(SAME + padded([0, 1, 0, 1], [0, 1]) + FIRST + CONV, None, id="of_the_first_axes"),
        pytest.param(RELU + padded() + FIRST + POOL.replace("y", "y, place"), None, id="that_counts_in_a_place"),
    ],
)
def test_a_padding_joins_what_stands_behind_it_where_that_is_the_same(lines: str, pads: list[int] | None) -> None:
    proto = model(lines)
    found = inlined(proto)
    onnx.checker.check_model(found, full_check=True)
    kinds = [node.op_type for node in found.graph.node]
    assert ("Pad" in kinds) == (pads is None)
    if pads is not None:
        (last,) = (node for node in found.graph.node if node.op_type in ("Conv", "MaxPool"))
        assert next(list(a.ints) for a in last.attribute if a.name == "pads") == pads
        assert kinds == [kind for kind in kinds if kind not in ("Constant", "CastLike", "Cast")]
    np.testing.assert_allclose(outputs(found), outputs(proto), atol=1e-6)


SHAPES = {"x": (2, 6, 5, 2), "w": (4, 2, 3, 3)}


def outputs(proto: onnx.ModelProto, shapes: dict[str, tuple[int, ...]] = SHAPES) -> np.ndarray:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), settings, providers=["CPUExecutionProvider"], disabled_optimizers=["Pad_Fusion"]
    )
    random = np.random.default_rng(0)
    return session.run(None, {n: random.normal(size=s).astype(np.float32) for n, s in shapes.items()})[0]


def test_a_value_that_is_read_for_its_type_alone_is_not_read() -> None:
    proto = model("c = Constant <value_int = 2>()\nlike = CastLike(c, x)\ny = Mul(x, like)\n")
    found = inlined(proto)
    assert [(node.op_type, *node.input) for node in found.graph.node][1:] == [("Cast", "c"), ("Mul", "x", "like")]
    assert outputs(found).tolist() == outputs(proto).tolist()


SEQUENCES = """
n = Transpose <perm = [0, 2, 1]>(x)
c = Conv <kernel_shape = [3], strides = [2], pads = [2, 0]>(n, w)
t = Transpose <perm = [0, 2, 1]>(c)
r = Relu(t)
b = Transpose <perm = [0, 2, 1]>(r)
k = Conv <kernel_shape = [3], auto_pad = "SAME_UPPER">(b, v)
s = Add(k, b)
p = MaxPool <kernel_shape = [2], strides = [2]>(s)
a = AveragePool <kernel_shape = [2]>(p)
l = ReduceMax(t)
y = Mul(a, l)
"""


def test_windows_over_steps_slide_along_images_of_one_row() -> None:
    proto = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]>\n'
        f"model (float[N, 20, 2] x, float[4, 2, 3] w, float[4, 4, 3] v) => (float[N, 4, A] y) {{\n{SEQUENCES}}}"
    )
    found = inlined(proto)
    onnx.checker.check_model(found, full_check=True)
    kinds = [node.op_type for node in found.graph.node]
    assert kinds.count("Squeeze") == 2  # for the two that are read as sequences
    assert kinds.count("Unsqueeze") == 3  # of the first sequence and of two kernels
    shapes = {"x": (2, 20, 2), "w": (4, 2, 3), "v": (4, 4, 3)}
    np.testing.assert_allclose(outputs(found, shapes), outputs(proto, shapes), rtol=1e-6)


@pytest.mark.parametrize(
    ("lines", "pools"),
    [
        pytest.param(
            "r = Relu(last)\nm = ReduceMean <keepdims = 0>(r, axes)\ny = Mul(m, one)\n", True, id="behind_a_relu"
        ),
        pytest.param("m = ReduceMean(last, axes)\ny = Squeeze(m, axes)\n", True, id="with_its_axes_kept"),
        pytest.param("r = Neg(last)\ny = ReduceMean <keepdims = 0>(r, axes)\n", False, id="behind_something_else"),
        pytest.param(
            "h = Cast <to = 10>(last)\nm = ReduceMean <keepdims = 0>(h, axes)\ny = Cast <to = 1>(m)\n",
            False,
            id="of_half_floats",
        ),
        pytest.param(
            "m = ReduceMean <keepdims = 0>(last, axes)\nmost = ReduceMax <keepdims = 0>(x)\nany = Cast <to = 9>(most)\n"
            "y = If (any) <then_branch = one () => (float[N, 4] m_turned) {m_turned = Neg(m)}, "
            "else_branch = other () => (float[N, 4] m_pooled) {m_pooled = Abs(m)}>\n",
            True,
            id="whose_new_names_are_taken_within",
        ),
    ],
)
def test_a_mean_over_the_places_of_a_convolutions_images_is_a_pooling(lines: str, pools: bool) -> None:
    proto = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]>\n'
        "model (float[N, 6, 5, 2] x, float[4, 2, 3, 3] w) => (float[N, 4] y) {\n"
        "first = Transpose <perm = [0, 3, 1, 2]>(x)\nc = Conv <kernel_shape = [3, 3]>(first, w)\n"
        "last = Transpose <perm = [0, 2, 3, 1]>(c)\naxes = Constant <value_ints = [1, 2]>()\n"
        f"one = Constant <value_float = 1.0>()\n{lines}}}"
    )
    found = inlined(proto)
    onnx.checker.check_model(found, full_check=True)
    kinds = [node.op_type for node in found.graph.node]
    assert ("GlobalAveragePool" in kinds, "ReduceMean" in kinds) == (pools, not pools)
    np.testing.assert_allclose(outputs(found), outputs(proto), rtol=1e-5, atol=1e-6)


NORM = (
    "a = Abs(v)\nfirst = Transpose <perm = [0, 3, 1, 2]>(x)\n"
    "n = BatchNormalization <epsilon = 0.01>(first, g, b, m, a)\n"
    "last = Transpose <perm = [0, 2, 3, 1]>(n)\n"
)


@pytest.mark.parametrize(
    ("lines", "spared"),
    [
        pytest.param(f"{NORM}y = Relu(last)\n", True, id="alone"),
        pytest.param(f"{NORM}r = Relu(last)\ny = Transpose(r)\n", True, id="before_another_turn"),
        pytest.param(f"{NORM}r = Relu(last)\ny = Transpose <perm = [0, 3, 1, 2]>(r)\n", False, id="before_a_transpose"),
        pytest.param(f"{NORM}y = Add(last, n)\n", False, id="read_twice"),
        pytest.param(
            f"{NORM}y = Relu(last)\n".replace("n = B", "n, p, q = B").replace("0.01", "0.01, training_mode = 1"),
            False,
            id="by_the_batch_itself",
        ),
    ],
)
def test_a_normalization_of_a_batch_is_a_product_and_a_sum_if_no_convolution_is_near(lines: str, spared: bool) -> None:
    proto = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]>\n'
        "model (float[N, 3, 3, 3] x, float[3] g, float[3] b, float[3] m, float[3] v) => (float[A, B, C, D] y) {\n"
        f"{lines}}}"
    )
    found = inlined(proto)
    onnx.checker.check_model(found, full_check=True)
    kinds = [node.op_type for node in found.graph.node]
    assert ("BatchNormalization" in kinds, "Mul" in kinds) == (not spared, spared)
    shapes = {"x": (2, 3, 3, 3), **dict.fromkeys("gbmv", (3,))}
    np.testing.assert_allclose(outputs(found, shapes), outputs(proto, shapes), rtol=1e-4, atol=1e-6)


def test_lengths_that_are_known_are_constants() -> None:
    proto = model(
        "sides = Shape <start = 1, end = 3>(x)\nrows = Shape <start = 0, end = 1>(x)\n"
        "rest = Constant <value_ints = [-1]>()\n"
        "all = Concat <axis = 0>(rows, sides, rest)\ny = Reshape(x, all)\n"
    )
    found = inlined(proto)
    assert [node.op_type for node in found.graph.node].count("Shape") == 1
    assert outputs(found).tolist() == outputs(proto).tolist()
