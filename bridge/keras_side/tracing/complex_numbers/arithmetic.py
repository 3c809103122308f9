"""What is done to complex numbers one by one, their sums and products, and what only moves them."""

from __future__ import annotations

import numpy as np

from bridge.keras_side.tracing.complex_numbers.pairs import REAL, Operator, Pair, Unpaired, form

_LINEAR = (  # they do to both parts what they do to real numbers
    *("Identity", "Snapshot", "EnsureShape", "Reshape", "Transpose", "ExpandDims", "Squeeze", "Slice", "StridedSlice"),
    *("ConcatV2", "Pack", "Unpack", "Split", "SplitV", "GatherV2", "GatherNd", "Tile", "Pad", "ReverseV2", "Roll"),
    *("BroadcastTo", "Sum", "Mean", "Cumsum", "Neg", "Add", "AddV2", "AddN", "Sub", "ZerosLike", "SelectV2"),
)


@form(*_LINEAR)
def _linear(op: Operator) -> None:
    complexes = [i for i, name in enumerate(op.node.input) if name in op.pairs]
    given = {i: op.of(i) if len(complexes) == 1 else op.both(i) for i in complexes}

    def on(part: int) -> list[str]:
        return op.again(*(given[i][part] if i in given else n for i, n in enumerate(op.node.input)))  # type: ignore[misc]

    real = on(0)
    imaginary = on(1) if all(parts[1] is not None for parts in given.values()) else [None for _ in real]
    op.pairs.update(zip(op.node.output, zip(real, imaginary, strict=True), strict=True))


@form("TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub")
def _scattered(op: Operator) -> None:
    _linear(op)
    for part in op.pairs[op.node.output[0]]:
        if part is not None:
            op.graph.copy_shape(op.of(0)[0], part)


@form("Mul", "MatMul", "BatchMatMul", "BatchMatMulV2")
def _bilinear(op: Operator) -> None:
    adjoint = [bool(op.node.get_attr_value(word, 0)) for word in ("adj_x", "adj_y")]  # transposed and conjugate
    given = [op.conjugate(op.of(i)) if adjoint[i] else op.of(i) for i in (0, 1)]
    op.gives(*_product(op, *given))


@form("Einsum")
def _einsum(op: Operator) -> None:
    (_linear if len(op.node.input) == 1 else _bilinear)(op)


def _product(op: Operator, a: Pair, b: Pair) -> Pair:
    """(a + ib)(c + id) = ac - bd + i(ad + bc)"""
    parts = {(i, j): op.again(a[i], b[j])[0] for i in (0, 1) for j in (0, 1) if a[i] and b[j]}  # type: ignore[arg-type]
    real = op.make("Sub", parts[0, 0], parts[1, 1]) if (1, 1) in parts else parts[0, 0]
    crossed = [parts[key] for key in ((0, 1), (1, 0)) if key in parts]
    return real, op.make("Sum", *crossed) if crossed else None


@form("Const")
def _constant(op: Operator) -> None:
    value = op.node.get_tensor_value(as_list=False)
    op.gives(op.constant(value.real), op.constant(value.imag))


@form("Fill")
def _filled(op: Operator) -> None:
    shape = op.node.input[0]
    op.gives(*(op.again(shape, part)[0] for part in op.both(1)))


@form("Shape")
def _shape(op: Operator) -> None:
    op.gives_real(op.again(op.of(0)[0], dtype=op.graph.get_dtype(op.node.output[0]))[0])


@form("Complex")
def _complex(op: Operator) -> None:
    real, imaginary = op.node.input
    op.gives(real, imaginary)


@form("Cast")
def _cast(op: Operator) -> None:
    source, target = (op.graph.get_dtype(names[0]) for names in (op.node.input, op.node.output))
    real, imaginary = op.of(0)
    kind = REAL.get(target, target)
    if kind != REAL.get(source, source):
        real, imaginary = (x and op.make("Cast", x, to=kind) for x in (real, imaginary))  # type: ignore[assignment]
    if target in REAL:
        op.gives(real, imaginary)
    else:
        op.gives_real(real)


@form("Real")
def _real(op: Operator) -> None:
    op.gives_real(op.of(0)[0])


@form("Imag")
def _imaginary(op: Operator) -> None:
    op.gives_real(op.both(0)[1])


@form("Conj")
def _conjugate(op: Operator) -> None:
    op.gives(*op.conjugate(op.of(0)))


@form("ComplexAbs")
def _magnitude(op: Operator) -> None:
    """A norm of both parts, whose gradient is zero at zero as TensorFlow's."""
    last = op.constant(np.array([-1]))
    both = op.make("Concat", *(op.make("Unsqueeze", part, last) for part in op.both(0)), axis=-1)
    op.gives_real(op.make("ReduceL2", both, last, keepdims=0))


@form("Angle")
def _angle(op: Operator) -> None:
    real, imaginary = op.both(0)
    op.gives_real(op.again(imaginary, real, kind="Atan2")[0])


@form("Square")
def _square(op: Operator) -> None:
    real, imaginary = op.both(0)
    minus = op.make("Sub", op.make("Mul", real, real), op.make("Mul", imaginary, imaginary))
    op.gives(minus, op.make("Mul", op.constant(2.0), op.make("Mul", real, imaginary)))


@form("RealDiv", "Div")
def _quotient(op: Operator) -> None:
    (a, b), (c, d) = op.of(0), op.of(1)
    if d is None:
        op.gives(op.make("Div", a, c), b and op.make("Div", b, c))
        return
    b = b if b is not None else op.zeros(a)
    power = op.make("Add", op.make("Mul", c, c), op.make("Mul", d, d))
    real = op.make("Add", op.make("Mul", a, c), op.make("Mul", b, d))
    imaginary = op.make("Sub", op.make("Mul", b, c), op.make("Mul", a, d))
    op.gives(op.make("Div", real, power), op.make("Div", imaginary, power))


@form("Exp")
def _exponential(op: Operator) -> None:
    real, imaginary = op.both(0)
    size = op.make("Exp", real)
    op.gives(op.make("Mul", size, op.make("Cos", imaginary)), op.make("Mul", size, op.make("Sin", imaginary)))


@form("MatrixInverse")
def _inverse(op: Operator) -> None:
    """By that of [[a, -b], [b, a]], which is a matrix of real numbers."""
    real, imaginary = op.both(0)
    shape = list(op.graph.get_shape(op.node.input[0]) or [-1])
    if (rows := shape[-1]) is None or rows < 0:
        raise Unpaired(f"{op.node.type} of matrices of any size")
    above = op.make("Concat", real, op.make("Neg", imaginary), axis=-1)
    whole = op.make("Concat", above, op.make("Concat", imaginary, real, axis=-1), axis=-2)
    op.graph.set_shape(whole, [*shape[:-2], 2 * rows, 2 * rows])
    (inverse,) = op.again(whole)
    op.graph.set_shape(inverse, [*shape[:-2], 2 * rows, 2 * rows])
    first, second, end = (op.constant(np.array([place])) for place in (0, rows, 2 * rows))
    left = op.make("Slice", inverse, first, second, op.constant(np.array([-1])))
    down = op.constant(np.array([-2]))
    op.gives(op.make("Slice", left, first, second, down), op.make("Slice", left, second, end, down))
