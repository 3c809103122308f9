"""Inverses, solutions of equations, Cholesky factors: elimination step by step, for matrices of a known, small size."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.keras_side.tracing.decompositions import LONGEST, MOST
from bridge.keras_side.tracing.handlers import FAR, Unwritten, Writer, handler

_MOST = 32  # rows: each is some ten operators


class _Matrices(Writer):
    """Writes what is done with batches of matrices. size: of the first input's, square ones."""

    def __init__(self, graph: Any, node: Any):
        shape = graph.get_shape(node.input[0])
        size = shape[-1] if shape else -1
        if not 0 < size <= _MOST or shape[-2] != size:
            raise Unwritten(
                f"{node.type}: ONNX has no form for it; of up to {_MOST} rows, known in advance, it converts"
            )
        super().__init__(graph, node)
        self.size = size

    def number(self, array: Any) -> str:
        return self("CastLike", self.constant(np.asarray(array, np.float32)), self.inputs[0])

    def row(self, x: str, place: int) -> str:
        """(..., 1, columns)"""
        return self("Gather", x, self.vector([place]), axis=-2)

    def column(self, x: str, place: int) -> str:
        """(..., rows, 1)"""
        return self("Gather", x, self.vector([place]), axis=-1)

    def turned(self, x: str) -> str:
        rank = len(self.graph.get_shape(self.inputs[0]))
        return self("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2])

    def unit(self, place: int, transposed: bool = False) -> str:
        """1 at a place of a column (of a row), 0 elsewhere."""
        array = np.arange(self.size) == place
        return self.number(array[None] if transposed else array[:, None])

    def eliminated(self, x: str) -> tuple[str, list[str], list[str]]:
        """[A | B] as [1 | A^-1 B]; the pivots, and whether rows were swapped for them: (..., 1, 1) each.

        Of the rows that are left the one with the largest number is the next: so its rounding errors stay small.
        """
        pivots, swaps = [], []
        for step in range(self.size):
            left = self.number((np.arange(self.size) < step)[:, None] * -2.0)
            first = self.column(x, step)
            # the numbers that are done count less than any: their absolute values are put below -1
            height = self("Where", self("Less", left, self.number(0.0)), left, self("Abs", first))
            place = self("ArgMax", height, axis=-2, keepdims=1)
            rows = self.constant(np.arange(self.size)[:, None])
            chosen = self("CastLike", self("Equal", rows, place), first)  # one row of ones
            here = self.unit(step)
            top, best = self.row(x, step), self("ReduceSum", self("Mul", chosen, x), self.vector([-2]), keepdims=1)
            other = self("Sub", best, top)
            x = self("Add", x, self("Mul", self("Sub", here, chosen), other))  # swapped
            pivot = self.column(best, step)
            pivots.append(pivot)
            swaps.append(self("Equal", place, self.constant(np.array(step))))
            scaled = self("Div", best, pivot)
            x = self("Sub", x, self("Mul", self("Sub", self.column(x, step), here), scaled))
        return x, pivots, swaps

    def solved(self, a: str, b: str) -> str:
        x = self.eliminated(self("Concat", a, b, axis=-1))[0]
        ends = [self.vector([n]) for n in (self.size, FAR)]
        return self("Slice", x, *ends, self.vector([-1]))

    def identities(self) -> str:
        return self("Expand", self.number(np.eye(self.size)), self("Shape", self.inputs[0]))


@handler("Qr", "Svd", "SelfAdjointEigV2")
def too_large(graph: Any, node: Any, name: str, args: Any) -> None:
    """Those of smaller ones were traced as tracing/decompositions.py has them."""
    known = f"of real numbers, up to {MOST} by {LONGEST} and known in advance"
    raise Unwritten(f"{node.type}: ONNX has no form for it; {known}, it converts")


@handler("MatrixInverse")
def inverse(graph: Any, node: Any, name: str, args: Any) -> None:
    adjoint = bool(node.get_attr_value("adjoint", 0))
    make = _Matrices(graph, node)
    y = make.solved(make.inputs[0], make.identities())
    make.end("Identity", make.turned(y) if adjoint else y)


@handler("MatrixSolve")
def solve(graph: Any, node: Any, name: str, args: Any) -> None:
    adjoint = bool(node.get_attr_value("adjoint", 0))
    make = _Matrices(graph, node)
    a, b = make.inputs
    make.end("Identity", make.solved(make.turned(a) if adjoint else a, b))


@handler("LogMatrixDeterminant")
def log_determinant(graph: Any, node: Any, name: str, args: Any) -> None:
    """The sign, and the logarithm of what it is of, by the pivots."""
    outputs = [*node.output]
    shapes, dtype = [graph.get_shape(output) for output in outputs], graph.get_dtype(outputs[0])
    make = _Matrices(graph, node)
    _, pivots, swaps = make.eliminated(make.inputs[0])
    signs = [make("Sign", pivot) for pivot in pivots]
    signs += [make("Where", kept, make.number(1.0), make.number(-1.0)) for kept in swaps]
    sign, sizes = signs[0], [make("Log", make("Abs", pivot)) for pivot in pivots]
    for other in signs[1:]:
        sign = make("Mul", sign, other)
    total = make("Sum", *sizes)
    for value, output, shape in zip((sign, total), outputs, shapes, strict=True):
        squeezed = make("Squeeze", value, make.vector([-2, -1]))
        graph.make_node("Identity", [squeezed], outputs=[output], shapes=[shape], dtypes=[dtype])


@handler("Cholesky")
def cholesky(graph: Any, node: Any, name: str, args: Any) -> None:
    """Column by column; what is left loses the product of each with itself. Its gradient is symmetric."""
    make = _Matrices(graph, node)
    (x,) = make.inputs
    left = make("Mul", make("Add", x, make.turned(x)), make.number(0.5))
    columns = []
    for step in range(make.size):
        below = make("Mul", make.column(left, step), make.number((np.arange(make.size) >= step)[:, None]))
        column = make("Div", below, make("Sqrt", make.row(make.column(left, step), step)))
        columns.append(column)
        left = make("Sub", left, make("Mul", column, make.turned(column)))
    make.end("Concat", *columns, axis=-1)


@handler("MatrixTriangularSolve")
def triangular_solve(graph: Any, node: Any, name: str, args: Any) -> None:
    """Row by row, from the one that has one unknown alone."""
    lower, adjoint = (bool(node.get_attr_value(word, default)) for word, default in (("lower", 1), ("adjoint", 0)))
    make = _Matrices(graph, node)
    a, b = make.inputs
    if adjoint:
        a, lower = make.turned(a), not lower
    places = range(make.size) if lower else reversed(range(make.size))
    solved: dict[int, str] = {}
    for place in places:
        row = make.row(a, place)
        found = make("Div", make.row(b, place), make.column(row, place))
        solved[place] = found
        b = make("Sub", b, make("Mul", make.column(a, place), found))
    make.end("Concat", *(solved[place] for place in range(make.size)), axis=-2)
