"""Inlining: what a runtime computes faster takes the place of other operators, where it gives the same."""

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
SHAPES = {"x": (2, 6, 5, 2), "w": (4, 2, 3, 3)}
Shapes = dict[str, tuple[int, ...]]


def model(lines: str, shapes: Shapes = SHAPES, rank: int = 4) -> onnx.ModelProto:
    """A plain model that makes y, of that rank, of inputs of these shapes; x has any number of rows."""
    given = ", ".join(f"float{['N', *shape[1:]] if n == 'x' else [*shape]} {n}" for n, shape in shapes.items())
    made = f"float[{', '.join(f'Y{axis}' for axis in range(rank))}] y"
    proto = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 18]>\nmodel ({given}) => ({made}) {{\n{lines}}}'.replace("'N'", "N")
    )
    onnx.checker.check_model(proto, full_check=True)
    return shape_inference.infer_shapes(proto)


def inlined_alike(proto: onnx.ModelProto, shapes: Shapes = SHAPES, close: float = 1e-7) -> list[onnx.NodeProto]:
    """The nodes of the inlined model, which is valid and computes the same in ONNX Runtime; close: bit for bit if 0."""
    found = inlined(proto)
    onnx.checker.check_model(found, full_check=True)
    np.testing.assert_allclose(outputs(found, shapes), outputs(proto, shapes), rtol=close, atol=min(10 * close, 1e-6))
    return list(found.graph.node)


def outputs(proto: onnx.ModelProto, shapes: Shapes) -> np.ndarray:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), settings, providers=["CPUExecutionProvider"], disabled_optimizers=["Pad_Fusion"]
    )
    random = np.random.default_rng(0)
    return session.run(None, {n: random.normal(size=s).astype(np.float32) for n, s in shapes.items()})[0]


def kinds(nodes: list[onnx.NodeProto]) -> list[str]:
    return [node.op_type for node in nodes]


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
    nodes = inlined_alike(model(lines))
    assert ("Pad" in kinds(nodes)) == (pads is None)
    if pads is not None:
        (last,) = (node for node in nodes if node.op_type in ("Conv", "MaxPool"))
        assert next(list(a.ints) for a in last.attribute if a.name == "pads") == pads
        assert not {"Constant", "CastLike", "Cast"} & {*kinds(nodes)}


def test_a_value_that_is_read_for_its_type_alone_is_not_read() -> None:
    proto = model("c = Constant <value_int = 2>()\nlike = CastLike(c, x)\ny = Mul(x, like)\n")
    nodes = inlined_alike(proto, close=0)
    assert [(node.op_type, *node.input) for node in nodes][1:] == [("Cast", "c"), ("Mul", "x", "like")]


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
    shapes = {"x": (2, 20, 2), "w": (4, 2, 3), "v": (4, 4, 3)}
    nodes = inlined_alike(model(SEQUENCES, shapes, rank=3), shapes, close=1e-6)
    assert kinds(nodes).count("Squeeze") == 2  # for the two that are read as sequences
    assert kinds(nodes).count("Unsqueeze") == 3  # of the first sequence and of two kernels


TURNED = (
    "first = Transpose <perm = [0, 3, 1, 2]>(x)\nc = Conv <kernel_shape = [3, 3]>(first, w)\n"
    "last = Transpose <perm = [0, 2, 3, 1]>(c)\naxes = Constant <value_ints = [1, 2]>()\n"
    "one = Constant <value_float = 1.0>()\n"
)


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
    nodes = inlined_alike(model(TURNED + lines, rank=2), close=1e-5)
    assert ("GlobalAveragePool" in kinds(nodes), "ReduceMean" in kinds(nodes)) == (pools, not pools)


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
    shapes = {"x": (2, 3, 3, 3), **dict.fromkeys("gbmv", (3,))}
    nodes = inlined_alike(model(lines, shapes), shapes, close=1e-4)
    assert ("BatchNormalization" in kinds(nodes), "Mul" in kinds(nodes)) == (not spared, spared)


def test_lengths_that_are_known_are_constants() -> None:
    proto = model(
        "sides = Shape <start = 1, end = 3>(x)\nrows = Shape <start = 0, end = 1>(x)\n"
        "rest = Constant <value_ints = [-1]>()\n"
        "all = Concat <axis = 0>(rows, sides, rest)\ny = Reshape(x, all)\n"
    )
    assert kinds(inlined_alike(proto, close=0)).count("Shape") == 1
