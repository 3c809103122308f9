"""An operator on complex numbers: its inputs as pairs of real tensors, and the nodes that take its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

REAL = {TensorProto.COMPLEX64: TensorProto.FLOAT, TensorProto.COMPLEX128: TensorProto.DOUBLE}
_FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
Pair = tuple[str, str | None]  # the names of the real and the imaginary part; None: it is zero


class Unpaired(Exception):
    """An operator on complex numbers that has no form here; the message is the reason."""


class Operator:
    """One of TensorFlow's operators, and the nodes in its place."""

    def __init__(self, graph: Any, node: Any, pairs: dict[str, Pair]):
        self.graph, self.node, self.pairs = graph, node, pairs
        kinds = [REAL[kind] for name in (*node.input, *node.output) if (kind := graph.get_dtype(name)) in REAL]
        self.real = kinds[0]
        self.reals: dict[str, str] = {}  # its outputs that are no complex numbers: what takes their place

    def of(self, number: int) -> Pair:
        """The parts of an input; a real one's own."""
        name = self.node.input[number]
        return self.pairs.get(name, (name, None))

    def both(self, number: int) -> tuple[str, str]:
        """The parts of an input, zeros where it is real."""
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

    def again(self, *inputs: str, kind: str = "", dtype: int | None = None) -> list[str]:
        """The same operator, or another one of TensorFlow's, on real tensors. dtype: of what it gives, else theirs."""
        from tf2onnx import utils

        attributes = {name: helper.get_attribute_value(value) for name, value in self.node.attr.items()}
        made = self.graph.make_node(
            kind or self.node.type,
            [*inputs],
            attr=attributes if not kind else {},
            output_count=len(self.node.output),
            name=utils.make_name(self.node.name),
            shapes=[self.graph.get_shape(name) for name in self.node.output],
            dtypes=[dtype or self.real for _ in self.node.output],
            skip_conversion=False,
        )
        return [str(name) for name in made.output]


Form = Callable[[Operator], None]
FORMS: dict[str, Form] = {}  # by the operator's kind, what puts nodes on pairs in its place


def form(*kinds: str) -> Callable[[Form], Form]:
    """Puts a function into that table."""

    def register(function: Form) -> Form:
        FORMS.update(dict.fromkeys(kinds, function))
        return function

    return register
