"""One or more small cases for each standard operator: inputs, attributes, and which inputs are constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

rng = np.random.default_rng(7)


@dataclass(frozen=True)
class Case:
    kind: str
    inputs: tuple[Any, ...]  # None: absent
    attributes: dict[str, Any] = field(default_factory=dict)
    constants: tuple[int, ...] = ()
    outputs: int = 1

    def __str__(self) -> str:
        options = ",".join(f"{k}={'tensor' if k == 'value' else v}" for k, v in self.attributes.items())
        constants = "".join(f" constant {i}" for i in self.constants)
        return f"{self.kind}({options}){constants}".replace(" ", "_")


def case(kind: str, *inputs: Any, constants: tuple[int, ...] = (), outputs: int = 1, **attributes: Any) -> Case:
    return Case(kind, inputs, attributes, constants, outputs)


def f(*shape: int) -> np.ndarray:
    """Random float32, no two equal and none near zero: nothing where a derivative jumps."""
    values = np.linspace(-1.9, 2.1, max(int(np.prod(shape)), 1), dtype=np.float32) + np.float32(0.013)
    return rng.permutation(values).reshape(shape)


def positive(*shape: int) -> np.ndarray:
    return np.abs(f(*shape)) + np.float32(0.3)


def inside(*shape: int) -> np.ndarray:
    return f(*shape) / np.float32(2.5)


def i(*values: Any) -> np.ndarray:
    return np.array(values, np.int64)


def whole(*shape: int, kind: Any = np.int32) -> np.ndarray:
    return rng.integers(-9, 10, shape).astype(kind)


def flags(*shape: int) -> np.ndarray:
    return rng.random(shape) > 0.5


def number(value: float, kind: Any = np.float32) -> np.ndarray:
    return np.array(value, kind)


NAN = np.array([1.0, np.nan, np.inf, -np.inf, -2.0], np.float32)
ODD = np.array([[-7, 7, -6], [5, -5, 1]], np.int32)
BY = np.array([2, -2, 4], np.int32)
X = f(2, 3, 4)
IMAGE = f(2, 8, 2, 3)

PLAIN = "Abs Sign Exp Ceil Floor Round Erf Sin Cos Tan Sinh Cosh Asinh Atan Relu Sigmoid Tanh Softplus Softsign Mish"
CASES = [
    *(case(kind, X) for kind in PLAIN.split()),
    *(case(kind, positive(2, 3)) for kind in ("Sqrt", "Reciprocal", "Log")),
    *(case(kind, inside(2, 3)) for kind in ("Asin", "Acos", "Atanh")),
    case("Acosh", positive(2, 3) + 1),
    *(case(kind, X) for kind in ("Neg", "HardSwish", "Identity", "Elu", "Selu", "Celu", "LeakyRelu", "HardSigmoid")),
    case("Elu", X, alpha=0.3),
    case("Selu", X, alpha=1.2, gamma=0.7),
    case("Celu", X, alpha=2.0),
    case("LeakyRelu", X, alpha=0.2),
    case("HardSigmoid", X, alpha=0.15, beta=0.4),
    case("ThresholdedRelu", X),
    case("ThresholdedRelu", X, alpha=0.4),
    case("Shrink", X),
    case("Shrink", X, bias=0.2, lambd=0.9),
    case("Gelu", X),
    case("Gelu", X, approximate="tanh"),
    case("PRelu", X, f(3, 1)),
    case("PRelu", X, number(0.2), constants=(1,)),
    case("Softmax", X),
    case("Softmax", X, axis=1),
    case("LogSoftmax", X, axis=0),
    *(case(kind, X, f(4)) for kind in ("Add", "Sub", "Mul", "Div", "Greater", "Less", "GreaterOrEqual", "LessOrEqual")),
    *(case(kind, X, number(0.7), constants=(1,)) for kind in ("Add", "Sub", "Mul", "Div", "Greater", "Max", "Min")),
    *(case(kind, number(-0.7), X, constants=(0,)) for kind in ("Sub", "Div", "Less", "Add")),
    *(case(kind, whole(2, 3), whole(3)) for kind in ("Add", "Mul", "Equal", "Max", "Min", "LessOrEqual")),
    case("Div", ODD, BY),
    case("Div", ODD, number(-2, np.int32), constants=(1,)),
    case("Div", number(-7, np.int32), BY, constants=(0,)),
    case("Mod", ODD, BY),
    case("Mod", number(-7, np.int32), BY, constants=(0,)),
    case("Mod", ODD, number(-2, np.int32), constants=(1,)),
    case("Mod", ODD, BY, fmod=1),
    case("Mod", X, number(0.7), constants=(1,), fmod=1),
    case("Mod", number(5.0), X, constants=(0,), fmod=1),
    case("Pow", positive(2, 3), f(3)),
    case("Pow", X, number(2.0), constants=(1,)),
    case("Pow", X, number(-3.0), constants=(1,)),
    case("Pow", positive(2, 3), number(0.5), constants=(1,)),
    case("Pow", number(2.0), X, constants=(0,)),
    case("Pow", whole(2, 3), number(2.0), constants=(1,)),
    case("Pow", number(2, np.int32), positive(2, 3), constants=(0,)),
    case("Pow", number(2.0, np.float64), np.array([-2, 0, 3], np.int32), constants=(0,)),
    case("Max", X, f(4), f(3, 1)),
    case("Min", X),
    case("Min", f(4), X, number(0.3), constants=(2,)),
    case("Sum", X, f(4), f(3, 1)),
    case("Mean", X, f(4), f(3, 1)),
    case("Clip", X, number(-0.5), number(0.6), constants=(1, 2)),
    case("Clip", X, None, number(0.6), constants=(2,)),
    case("Clip", X, number(-0.5), number(0.6)),
    case("Clip", X, number(-0.5), number(0.6), constants=(1,)),
    case("Clip", X),
    case("Clip", whole(5), number(-3, np.int32), number(4, np.int32), constants=(1, 2)),
    *(case(kind, flags(2, 3), flags(3)) for kind in ("And", "Or", "Xor", "Equal")),
    case("And", flags(3), np.array(True), constants=(1,)),
    case("Not", flags(2, 3)),
    *(case(f"Bitwise{kind}", whole(2, 3), whole(3)) for kind in ("And", "Or", "Xor")),
    case("BitwiseNot", whole(2, 3)),
    case("BitShift", np.array([200, 16, 1], np.uint8), np.array([1, 2, 3], np.uint8), direction="LEFT"),
    case("BitShift", np.array([2**63 + 5, 16, 1], np.uint64), np.array([1, 0, 3], np.uint64), direction="RIGHT"),
    case("BitShift", np.array([2**31 + 5, 16], np.uint32), number(1, np.uint32), constants=(1,), direction="RIGHT"),
    case("Where", flags(2, 3), f(2, 3), f(3)),
    case("Where", flags(2, 3), f(2, 3), number(-1e9), constants=(2,)),
    case("Where", flags(2, 3), number(1, np.int32), number(0, np.int32), constants=(1, 2)),
    case("IsNaN", NAN),
    case("IsInf", NAN),
    case("IsInf", NAN, detect_negative=0),
    case("IsInf", NAN, detect_positive=0),
    case("IsInf", NAN, detect_positive=0, detect_negative=0),
    case("Cast", X * 3, to=TensorProto.INT32),
    case("Cast", flags(2, 3), to=TensorProto.FLOAT),
    case("Cast", X, to=TensorProto.DOUBLE),
    case("CastLike", X, i(1)),
    case("CastLike", number(0.5), f(2).astype(np.float64), constants=(0,)),
    case("Dropout", X),
    case("Dropout", X, number(0.3), np.array(False), constants=(1, 2), outputs=2),
    case("Constant", value=numpy_helper.from_array(f(2, 3))),
    case("Constant", value_float=0.25),
    case("Constant", value_ints=[3, -1]),
    case("MatMul", X, f(4, 5)),
    case("MatMul", f(2, 1, 3, 4), f(5, 4, 2)),
    case("Gemm", f(2, 3), f(3, 4), f(4)),
    case("Gemm", f(3, 2), f(4, 3), f(2, 4), transA=1, transB=1, alpha=0.5, beta=2.0),
    case("Gemm", f(2, 3), f(3, 4)),
    case("Einsum", X, f(2, 5, 4), equation="bij, bkj -> bik"),
    case("Einsum", f(2, 3, 3), equation="...ii->...i"),
    case("Det", f(2, 3, 3)),
    *(case(kind, X, i(1), constants=(1,)) for kind in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")),
    *(
        case(f"Reduce{kind}", positive(2, 3, 4), i(-1, 0), constants=(1,), keepdims=0)
        for kind in ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
    ),
    *(
        case(f"Reduce{kind}", positive(2, 3), keepdims=keep)
        for kind in ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
        for keep in (0, 1)
    ),
    case("ReduceLogSumExp", X, i(2), constants=(1,)),
    case("ReduceProd", X, i(-1), constants=(1,)),
    case("ReduceSum", X, noop_with_empty_axes=1),
    case("ReduceSum", whole(2, 3), i(1), constants=(1,)),
    case("ReduceProd", whole(2, 3), i(1), constants=(1,)),
    case("ReduceProd", whole(2, 3)),
    case("ReduceMax", whole(2, 3), i(1), constants=(1,)),
    case("ArgMax", X),
    case("ArgMax", whole(4, 6) // 4, axis=1, keepdims=0, select_last_index=1),
    case("ArgMin", whole(4, 6) // 4, axis=-1, keepdims=0),
    case("ArgMin", whole(4, 6) // 4, axis=-1, select_last_index=1),
    case("CumSum", X, number(1, np.int64), constants=(1,)),
    case("CumSum", whole(2, 3), number(-1, np.int64), constants=(1,)),
    case("CumSum", X, number(1, np.int64), constants=(1,), exclusive=1),
    case("CumSum", X, number(2, np.int64), constants=(1,), exclusive=1, reverse=1),
    case("TopK", X, i(2), constants=(1,), outputs=2),
    case("TopK", X, i(2), outputs=2, axis=1, largest=0),
    case("TopK", whole(3, 9) // 4, i(5), constants=(1,), outputs=2),
    case("BatchNormalization", IMAGE, f(8), f(8), f(8), positive(8), constants=(1, 2, 3, 4), epsilon=0.01),
    case("BatchNormalization", IMAGE, f(8), f(8), f(8), positive(8)),
    case("InstanceNormalization", IMAGE, f(8), f(8), epsilon=0.001),
    case("InstanceNormalization", f(2, 3, 1), f(3), f(3)),
    case("LayerNormalization", X, f(4), f(4)),
    case("LayerNormalization", X, f(3, 4), axis=1, epsilon=0.01),
    case("LayerNormalization", X, f(4), f(4), outputs=3),
    case("Shape", X),
    case("Shape", X, start=1),
    case("Shape", X, start=-2, end=-1),
    case("Shape", X, start=3),
    case("Shape", number(2.0)),
    case("Size", X),
    case("Reshape", X, i(0, -1), constants=(1,)),
    case("Reshape", X, i(4, 0, 2)),
    case("Reshape", X, i(6, 4), constants=(1,)),
    case("Reshape", f(1, 1), np.zeros(0, np.int64), constants=(1,)),
    case("Reshape", np.zeros((0, 3), np.float32), i(3, 0), constants=(1,), allowzero=1),
    case("Flatten", IMAGE),
    case("Flatten", IMAGE, axis=0),
    case("Flatten", IMAGE, axis=-1),
    case("Squeeze", f(2, 1, 3, 1), i(1, -1), constants=(1,)),
    case("Squeeze", f(2, 1, 3, 1)),
    case("Squeeze", f(2, 1, 3, 1), i(1), constants=(1,)),
    case("Unsqueeze", X, i(0), constants=(1,)),
    case("Unsqueeze", X, i(3, 0, 2), constants=(1,)),
    case("Unsqueeze", X, i(-1, -3), constants=(1,)),
    case("Unsqueeze", X, i(-1, 0, 2), constants=(1,)),
    case("Transpose", X, perm=[2, 0, 1]),
    case("Transpose", X),
    case("Concat", X, f(2, 1, 4), axis=1),
    case("Concat", X, f(2, 3, 1), axis=-1, constants=(1,)),
    case("Concat", i(5), i(3, 4), axis=0, constants=(1,)),
    case("Split", X, i(1, 3), constants=(1,), outputs=2, axis=2),
    case("Split", X, i(1, 3), outputs=2, axis=2),
    case("Split", f(7, 2), outputs=3, num_outputs=3),
    case("Split", X, outputs=2, num_outputs=2, axis=-1),
    case("Slice", X, i(1, 0), i(3, 1000), i(1, 2), constants=(1, 2, 3)),
    case("Slice", X, i(-3), i(-1), i(-1), constants=(1, 2, 3)),
    case("Slice", X, i(0, 1), i(2, 3), constants=(1, 2)),
    case("Slice", f(9, 3), i(1), i(9), i(0), i(3), constants=(1, 2, 3, 4)),
    case("Slice", X, i(-1), i(-(2**63)), i(1), i(-1), constants=(1, 2, 3, 4)),
    case("Slice", f(9, 3), i(7), i(-8), i(0), i(-2), constants=(1, 2, 3, 4)),
    case("Slice", f(9, 3), i(1, 0), i(8, 2), i(0, 1), constants=(3,)),
    case("Slice", f(9, 3), i(20), i(2), i(-2), i(-3), constants=(3, 4)),
    case("Slice", f(9, 3), i(5), i(2), i(0), constants=(1, 2, 3)),
    case("Gather", X, i([0, -1], [1, 0]), axis=1),
    case("Gather", X, number(-1, np.int64), constants=(1,), axis=2),
    case("Gather", X, number(1, np.int64), constants=(1,)),
    case("Gather", X, i(2, 0, -1), constants=(1,), axis=-1),
    case("Gather", X, i(2, 0).astype(np.int32), axis=-2),
    case("Gather", X, np.zeros(0, np.int64), constants=(1,), axis=1),
    case("GatherElements", f(2, 3), i([0, -1], [2, 1]), axis=1),
    case("GatherND", X, i([0, 1], [-1, 2])),
    case("GatherND", X, i([[2, 0]], [[-1, 1]]), batch_dims=1),
    case("GatherND", f(2, 3, 4), i([[1], [0], [2]], [[3], [0], [1]]), batch_dims=2),
    *(
        case("ScatterElements", f(3, 4), i([0, -1], [2, 1]), f(2, 2), axis=1, reduction=reduction)
        for reduction in ("none", "add", "mul", "max", "min")
    ),
    *(
        case("ScatterND", f(4, 3), i([[1], [-1]]), f(1, 2, 3), reduction=reduction)
        for reduction in ("none", "add", "mul", "max", "min")
    ),
    case("ScatterND", f(4, 3), i([1, 2], [3, 0]), f(2)),
    case("Expand", f(3, 1), i(2, 1, 4), constants=(1,)),
    case("Expand", f(3, 1), i(2, 3, 4)),
    case("Expand", number(0.5), i(2, 3), constants=(0,)),
    case("Tile", f(2, 3), i(2, 1), constants=(1,)),
    case("Tile", f(2, 3), i(1, 3)),
    case("Pad", X, i(0, 1, 0, 0, 2, 1), number(0.5), constants=(1, 2)),
    case("Pad", X, i(0, 1, 0, 0, 2, 1)),
    case("Pad", X, i(1, 2), number(0.5), i(-2), constants=(1, 2, 3)),
    case("Pad", whole(2, 3), i(0, 1, 1, 0), constants=(1,)),
    case("Pad", flags(2, 3), i(0, 1, 1, 0), constants=(1,)),
    case("Pad", X, i(0, 2, 3, 1, 1, 2), constants=(1,), mode="reflect"),
    case("Pad", X, i(0, 2, 3, 1, 1, 2), constants=(1,), mode="edge"),
    case("Pad", X, i(2, 1), None, i(2), constants=(1, 3), mode="wrap"),
    case("Range", number(0, np.int64), number(5, np.int64), number(1, np.int64), constants=(0, 2)),
    case("Range", number(7, np.int32), number(1, np.int32), number(-2, np.int32)),
    case("Range", number(0.1), number(0.55), number(0.1), constants=(0,)),
    case("Range", number(3, np.int64), number(1, np.int64), number(1, np.int64), constants=(2,)),
    case("Range", number(1, np.int64), number(9, np.int64), number(3, np.int64), constants=(0, 1, 2)),
    case("ConstantOfShape", i(2, 3)),
    case("ConstantOfShape", i(2, 3), constants=(0,), value=numpy_helper.from_array(i(7))),
    case("ConstantOfShape", np.zeros(0, np.int64), constants=(0,), value=numpy_helper.from_array(np.array([True]))),
    case("EyeLike", f(3, 4)),
    case("EyeLike", whole(3, 4), k=1, dtype=TensorProto.DOUBLE),
    case("Trilu", X),
    case("Trilu", X, number(-1, np.int64), constants=(1,), upper=0),
    case("Trilu", X, number(1, np.int64)),
    case("DepthToSpace", IMAGE, blocksize=2),
    case("DepthToSpace", IMAGE, blocksize=2, mode="CRD"),
    case("SpaceToDepth", f(2, 3, 4, 6), blocksize=2),
    case("OneHot", i(1, -1, 3, 7), number(4, np.int64), np.array([0, 1], np.float32), constants=(1, 2)),
    case("OneHot", i([1, 2], [0, -4]), number(4, np.int64), np.array([-1, 5], np.int32), axis=1),
    case("NonZero", flags(3, 4)),
    case("Compress", X, np.array([False, True, True]), axis=1),
    case("Compress", X, flags(9)),
    case("Unique", whole(12) // 3, outputs=4),
    case("Unique", whole(12) // 3, outputs=4, sorted=0),
    case("Unique", np.array([[1, 2], [0, 3], [1, 2]], np.float32), outputs=4, axis=0),
    case("Unique", whole(12) // 3),
    case("ReverseSequence", f(4, 3, 2), i(2, 4, 1)),
    case("ReverseSequence", f(3, 4, 2), i(2, 4, 1), batch_axis=0, time_axis=1),
]
