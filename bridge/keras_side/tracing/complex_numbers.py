"""Complex numbers between the layers, as pairs of real tensors: ONNX's operators know none.

Before tf2onnx writes a graph, each TensorFlow operator on complex numbers is replaced by operators on their real and
their imaginary parts. What takes them in another way is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

REASON = "complex numbers are written as pairs of real ones, which {} has no form for"
_REAL = {TensorProto.COMPLEX64: TensorProto.FLOAT, TensorProto.COMPLEX128: TensorProto.DOUBLE}
_FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
_LINEAR = (  # they do to both parts what they do to real numbers
    *("Identity", "Snapshot", "EnsureShape", "Reshape", "Transpose", "ExpandDims", "Squeeze", "Slice", "StridedSlice"),
    *("ConcatV2", "Pack", "Unpack", "Split", "SplitV", "GatherV2", "GatherNd", "Tile", "Pad", "ReverseV2", "Roll"),
    *("BroadcastTo", "Sum", "Mean", "Cumsum", "Neg", "Add", "AddV2", "AddN", "Sub", "ZerosLike"),
)
_BILINEAR = ("Mul", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum")
Pair = tuple[str, str | None]  # the names of the real and the imaginary part; None: it is zero


class _Unpaired(Exception):
    """An operator on complex numbers that has no form here; the message is the reason."""


def without_complex(graph: Any) -> tuple[list[tuple[str, str]], set[str]]:
    """Replaces the graph's operators on complex numbers; none of them, if one can't be.

    Returns the names of those that have no form, each with why, and the names of all that are left.
    """
    complexes = {o for node in graph.get_nodes() for o in node.output if graph.get_dtype(o) in _REAL}
    if not complexes:
        return [], set()
    graph.topological_sort(graph.get_nodes())
    nodes = [node for node in graph.get_nodes() if complexes & {*node.input, *node.output}]
    pairs: dict[str, Pair] = {}
    failed, reals = [], {}
    for node in nodes:
        if any(name in complexes and name not in pairs for name in node.input):
            continue  # behind one that is told
        try:
            operator = _Operator(graph, node, pairs)
            operator.replace()
            reals |= operator.reals
        except _Unpaired as reason:
            failed.append((node.name, str(reason)))
    if failed:
        return failed, {node.name for node in nodes}
    ends = [(graph.get_shape(output), graph.get_dtype(output), output, made) for output, made in reals.items()]
    for node in nodes:
        graph.remove_node(node.name)
    for shape, kind, output, made in ends:
        graph.make_node("Identity", [made], outputs=[output], shapes=[shape], dtypes=[kind])
    return [], set()


class _Operator:
    """One of TensorFlow's operators, and the nodes in its place."""

    def __init__(self, graph: Any, node: Any, pairs: dict[str, Pair]):
        self.graph, self.node, self.pairs = graph, node, pairs
        kinds = [_REAL[kind] for name in (*node.input, *node.output) if (kind := graph.get_dtype(name)) in _REAL]
        self.real = kinds[0]
        self.reals: dict[str, str] = {}  # its outputs that are no complex numbers: what takes their place

    def replace(self) -> None:
        kind = self.node.type
        if kind in _LINEAR or (kind == "Einsum" and len(self.node.input) == 1):
            self._linear()
        elif kind in _BILINEAR:
            self._bilinear()
        elif kind in _FORMS:
            _FORMS[kind](self)
        else:
            raise _Unpaired(REASON.format(kind))

    def of(self, number: int) -> Pair:
        """The parts of an input; a real one's own."""
        name = self.node.input[number]
        return self.pairs.get(name, (name, None))

    def both(self, number: int) -> tuple[str, str]:
        real, imaginary = self.of(number)
        return real, imaginary if imaginary is not None else self.zeros(real)

    def zeros(self, like: str) -> str:
        return self.make("CastLike", self.make("ConstantOfShape", self.make("Shape", like)), like)

    def conjugate(self, pair: Pair) -> Pair:
        if pair[1] is None:
            return pair
        minus = self.make("Neg", pair[1])
        self.graph.copy_shape(pair[1], minus)  # without which tf2onnx leaves a transposition out
        return pair[0], minus

    def gives(self, real: str, imaginary: str | None) -> None:
        for part in (real, imaginary):
            if part is not None and self.graph.get_shape(part) is None:
                self.graph.set_shape(part, self.graph.get_shape(self.node.output[0]))
        self.pairs[self.node.output[0]] = (real, imaginary)

    def gives_real(self, name: str) -> None:
        """For an operator whose output is no complex number."""
        self.reals[self.node.output[0]] = name

    def make(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of ONNX's own."""
        made = self.graph.make_node(kind, [*inputs], attr=attributes, dtypes=[self.real])
        return str(made.output[0])

    def constant(self, value: Any) -> str:
        from tf2onnx import utils

        array = np.asarray(value)
        array = array.astype(_FLOATS[self.real]) if array.dtype.kind == "f" else array
        return str(self.graph.make_const(utils.make_name("bridge_constant"), array).output[0])

    def again(self, *inputs: str, kind: str = "") -> list[str]:
        """The same operator, or another one of TensorFlow's, on real tensors."""
        from tf2onnx import utils

        attributes = {name: helper.get_attribute_value(value) for name, value in self.node.attr.items()}
        made = self.graph.make_node(
            kind or self.node.type,
            [*inputs],
            attr=attributes if not kind else {},
            output_count=len(self.node.output),
            name=utils.make_name(self.node.name),
            shapes=[self.graph.get_shape(name) for name in self.node.output],
            dtypes=[self.real for _ in self.node.output],
            skip_conversion=False,
        )
        return [str(name) for name in made.output]

    def _linear(self) -> None:
        complexes = [i for i, name in enumerate(self.node.input) if name in self.pairs]
        given = {i: self.of(i) if len(complexes) == 1 else self.both(i) for i in complexes}

        def on(part: int) -> list[str]:
            return self.again(*(given[i][part] if i in given else n for i, n in enumerate(self.node.input)))  # type: ignore[misc]

        real = on(0)
        imaginary = on(1) if all(parts[1] is not None for parts in given.values()) else [None for _ in real]
        self.pairs.update(zip(self.node.output, zip(real, imaginary, strict=True), strict=True))

    def _bilinear(self) -> None:
        adjoint = [bool(self.node.get_attr_value(word, 0)) for word in ("adj_x", "adj_y")]  # transposed and conjugate
        given = [self.conjugate(self.of(i)) if adjoint[i] else self.of(i) for i in (0, 1)]
        self.gives(*self._product(*given))

    def _product(self, a: Pair, b: Pair) -> Pair:
        """(a + ib)(c + id) = ac - bd + i(ad + bc)"""
        parts = {(i, j): self.again(a[i], b[j])[0] for i in (0, 1) for j in (0, 1) if a[i] and b[j]}  # type: ignore[arg-type]
        real = self.make("Sub", parts[0, 0], parts[1, 1]) if (1, 1) in parts else parts[0, 0]
        crossed = [parts[key] for key in ((0, 1), (1, 0)) if key in parts]
        return real, self.make("Sum", *crossed) if crossed else None

    def transformed(self, pair: Pair, axis: int, cosines: str, sines: str, onto_real: bool = False) -> Pair:
        """The pair times a matrix of e^(-i angle) along an axis; with `onto_real` the real part alone."""
        rank = len(self.graph.get_shape(self.node.input[0]) or ())
        if not rank:
            raise _Unpaired(f"{self.node.type} of a tensor of unknown rank")
        swapped = list(range(rank))
        swapped[axis], swapped[-1] = swapped[-1], swapped[axis]

        def turned(x: str) -> str:
            return x if axis in (-1, rank - 1) else self.make("Transpose", x, perm=swapped)

        def times(x: str, matrix: str) -> str:
            return self.make("MatMul", x, matrix)

        real = turned(pair[0])
        if pair[1] is None:
            return turned(times(real, cosines)), None if onto_real else turned(self.make("Neg", times(real, sines)))
        imaginary = turned(pair[1])
        first = turned(self.make("Add", times(real, cosines), times(imaginary, sines)))
        if onto_real:
            return first, None
        return first, turned(self.make("Sub", times(imaginary, cosines), times(real, sines)))

    def fourier(self, pair: Pair, axis: int, inverse: bool) -> Pair:
        """The discrete Fourier transform along an axis, by matrices: ONNX Runtime's DFT is 2e-5 off for 100 numbers."""
        size = (self.graph.get_shape(self.node.input[0]) or [None] * -axis)[axis]
        if size is not None and size > 0:
            cosines, sines = _waves(np.arange(size), np.arange(size), size)
            scale = 1 / size if inverse else 1.0
            matrices = self.constant(cosines * scale), self.constant(sines * (-scale if inverse else scale))
        else:
            matrices = self._waves_of_any_length(pair[0], axis, inverse)
        return self.transformed(pair, axis, *matrices)

    def _waves_of_any_length(self, x: str, axis: int, inverse: bool) -> tuple[str, str]:
        def whole(kind: str, *inputs: str, **attributes: Any) -> str:
            made = self.graph.make_node(kind, [*inputs], attr=attributes, dtypes=[TensorProto.INT64], shapes=[None])
            return str(made.output[0])

        end = {} if axis == -1 else {"end": axis + 1}
        length = whole("Squeeze", whole("Shape", x, start=axis, **end))
        steps = whole("Range", self.constant(np.array(0)), length, self.constant(np.array(1)))
        rows = whole("Unsqueeze", steps, self.constant(np.array([1])))
        turns = self.make("CastLike", whole("Mod", whole("Mul", rows, steps), length), x)
        size = self.make("CastLike", length, x)
        angles = self.make("Mul", self.make("Div", turns, size), self.constant(2 * np.pi))
        cosines, sines = self.make("Cos", angles), self.make("Sin", angles)
        if not inverse:
            return cosines, sines
        return self.make("Div", cosines, size), self.make("Neg", self.make("Div", sines, size))

    def lengths(self) -> list[int]:
        """The lengths of a real transform, its second input."""
        given = self.node.inputs[1]
        if not given.is_const():
            raise _Unpaired(f"{self.node.type} of a length that depends on the input")
        return [int(length) for length in given.get_tensor_value(as_list=False).reshape(-1)]

    def size(self, axis: int) -> int:
        size = (self.graph.get_shape(self.node.input[0]) or [None] * -axis)[axis]
        if size is None or size < 0:
            raise _Unpaired(f"{self.node.type} of an axis of any length")
        return int(size)


def _waves(rows: np.ndarray, columns: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of 2 pi * row * column / size, rows from `size` on are left out (zero)."""
    angles = 2 * np.pi * (rows[:, None] * columns % size) / size
    kept = (rows < size)[:, None]
    return np.cos(angles) * kept, np.sin(angles) * kept


_FORMS: dict[str, Callable[[_Operator], None]] = {}


def _form(*kinds: str) -> Callable[[Callable[[_Operator], None]], Callable[[_Operator], None]]:
    def register(function: Callable[[_Operator], None]) -> Callable[[_Operator], None]:
        _FORMS.update(dict.fromkeys(kinds, function))
        return function

    return register


@_form("Const")
def _constant(op: _Operator) -> None:
    value = op.node.get_tensor_value(as_list=False)
    op.gives(op.constant(value.real), op.constant(value.imag))


@_form("Complex")
def _complex(op: _Operator) -> None:
    real, imaginary = op.node.input
    op.gives(real, imaginary)


@_form("Cast")
def _cast(op: _Operator) -> None:
    source, target = (op.graph.get_dtype(names[0]) for names in (op.node.input, op.node.output))
    real, imaginary = op.of(0)
    kind = _REAL.get(target, target)
    if kind != _REAL.get(source, source):
        real, imaginary = (x and op.make("Cast", x, to=kind) for x in (real, imaginary))  # type: ignore[assignment]
    if target in _REAL:
        op.gives(real, imaginary)
    else:
        op.gives_real(real)


@_form("Real")
def _real(op: _Operator) -> None:
    op.gives_real(op.of(0)[0])


@_form("Imag")
def _imaginary(op: _Operator) -> None:
    op.gives_real(op.both(0)[1])


@_form("Conj")
def _conjugate(op: _Operator) -> None:
    op.gives(*op.conjugate(op.of(0)))


@_form("ComplexAbs")
def _magnitude(op: _Operator) -> None:
    """A norm of both parts, whose gradient is zero at zero as TensorFlow's."""
    last = op.constant(np.array([-1]))
    both = op.make("Concat", *(op.make("Unsqueeze", part, last) for part in op.both(0)), axis=-1)
    op.gives_real(op.make("ReduceL2", both, last, keepdims=0))


@_form("Angle")
def _angle(op: _Operator) -> None:
    real, imaginary = op.both(0)
    op.gives_real(op.again(imaginary, real, kind="Atan2")[0])


@_form("Square")
def _square(op: _Operator) -> None:
    real, imaginary = op.both(0)
    minus = op.make("Sub", op.make("Mul", real, real), op.make("Mul", imaginary, imaginary))
    op.gives(minus, op.make("Mul", op.constant(2.0), op.make("Mul", real, imaginary)))


@_form("RealDiv", "Div")
def _quotient(op: _Operator) -> None:
    (a, b), (c, d) = op.of(0), op.of(1)
    if d is None:
        op.gives(op.make("Div", a, c), b and op.make("Div", b, c))
        return
    b = b if b is not None else op.zeros(a)
    power = op.make("Add", op.make("Mul", c, c), op.make("Mul", d, d))
    real = op.make("Add", op.make("Mul", a, c), op.make("Mul", b, d))
    imaginary = op.make("Sub", op.make("Mul", b, c), op.make("Mul", a, d))
    op.gives(op.make("Div", real, power), op.make("Div", imaginary, power))


@_form("Exp")
def _exponential(op: _Operator) -> None:
    real, imaginary = op.both(0)
    size = op.make("Exp", real)
    op.gives(op.make("Mul", size, op.make("Cos", imaginary)), op.make("Mul", size, op.make("Sin", imaginary)))


@_form("MatrixInverse")
def _inverse(op: _Operator) -> None:
    """By that of [[a, -b], [b, a]], which is a matrix of real numbers."""
    real, imaginary = op.both(0)
    rows, shape = op.size(-1), list(op.graph.get_shape(op.node.input[0]))
    above = op.make("Concat", real, op.make("Neg", imaginary), axis=-1)
    whole = op.make("Concat", above, op.make("Concat", imaginary, real, axis=-1), axis=-2)
    op.graph.set_shape(whole, [*shape[:-2], 2 * rows, 2 * rows])
    (inverse,) = op.again(whole)
    op.graph.set_shape(inverse, [*shape[:-2], 2 * rows, 2 * rows])
    first, second, end = (op.constant(np.array([place])) for place in (0, rows, 2 * rows))
    left = op.make("Slice", inverse, first, second, op.constant(np.array([-1])))
    down = op.constant(np.array([-2]))
    op.gives(op.make("Slice", left, first, second, down), op.make("Slice", left, second, end, down))


@_form("FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D")
def _transform(op: _Operator) -> None:
    pair = op.of(0)
    for axis in _axes(op):
        pair = op.fourier(pair, axis, inverse=op.node.type.startswith("I"))
    op.gives(*pair)


@_form("RFFT", "RFFT2D", "RFFT3D")
def _of_real(op: _Operator) -> None:
    """The frequencies up to the half along the last axis, then all along the others; cropped or padded to lengths."""
    pair: Pair = (op.node.input[0], None)
    for axis, length in zip(_axes(op), reversed(op.lengths()), strict=True):
        frequencies = length // 2 + 1 if axis == -1 else length
        cosines, sines = _waves(np.arange(op.size(axis)), np.arange(frequencies), length)
        pair = op.transformed(pair, axis, op.constant(cosines), op.constant(sines))
    op.gives(*pair)


@_form("IRFFT", "IRFFT2D", "IRFFT3D")
def _to_real(op: _Operator) -> None:
    """The last axis holds half of the frequencies: all but the first and the middle one count twice."""
    pair = op.of(0)
    for axis, length in reversed([*zip(_axes(op), reversed(op.lengths()), strict=True)]):
        size, half = op.size(axis), length // 2
        cosines, sines = _waves(np.arange(size), np.arange(length), length)
        if axis == -1:
            places = np.arange(size)
            counts = np.where((places == 0) | (2 * places == length), 1, 2) * (places <= half)
            cosines, sines = cosines * counts[:, None], sines * counts[:, None]
        matrices = op.constant(cosines / length), op.constant(-sines / length)
        pair = op.transformed(pair, axis, *matrices, onto_real=axis == -1)
    op.gives_real(pair[0])


def _axes(op: _Operator) -> tuple[int, ...]:
    """The axes that are transformed, the last one first."""
    kind = op.node.type
    return (-1, -2, -3)[: int(kind[-2]) if kind.endswith("D") else 1]
