"""TensorFlow operators that tf2onnx does not know, or writes wrongly, in standard ONNX operators.

A handler gets tf2onnx's graph and the node; it puts others in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

Handler = Callable[[Any, Any, str, Any], Any]
HANDLERS: dict[str, Handler] = {}
FAR = 2**62  # beyond any axis
_QUANTIZED = "its rounding passes gradients on in TensorFlow, which ONNX can't say: it could not be trained"
_REFUSED = {
    "ResizeArea": "tf2onnx writes it as another interpolation",
    "ResizeBicubic": "TensorFlow takes its weights from a table, which ONNX does not; a Resizing layer converts",
    "AdjustSaturation": "tf2onnx writes it wrongly",
    "FakeQuantWithMinMaxArgs": _QUANTIZED,
    "FakeQuantWithMinMaxVars": _QUANTIZED,
    "FakeQuantWithMinMaxVarsPerChannel": _QUANTIZED,
    "QuantizeAndDequantizeV2": _QUANTIZED,
    "QuantizeAndDequantizeV3": _QUANTIZED,
    "QuantizeAndDequantizeV4": _QUANTIZED,
}


class Unwritten(Exception):
    """Why an operator is not written as ONNX."""


def handler(*kinds: str) -> Callable[[Handler], Handler]:
    """Registers the handler of TensorFlow operators."""

    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, function))
        return function

    return register


class Writer:
    """Makes the nodes that stand for one; `end` gives its output."""

    def __init__(self, graph: Any, node: Any):
        self.graph, self.node, self.inputs = graph, node, [*node.input]
        self.shape, self.dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
        graph.remove_node(node.name)

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return str(self.graph.make_node(kind, [*inputs], attr=attributes).output[0])

    def like(self, value: float, name: str) -> str:
        """A constant of the type of a tensor."""
        return str(self("CastLike", self.constant(np.array(value, np.float32)), name))

    def constant(self, value: np.ndarray) -> str:
        from tf2onnx import utils

        return str(self.graph.make_const(utils.make_name("bridge_constant"), value).output[0])

    def vector(self, values: list[Any]) -> str:
        """A vector of whole numbers; those that depend on the input are names of vectors of one."""
        if any(isinstance(value, str) for value in values):
            return self("Concat", *(v if isinstance(v, str) else self.vector([v]) for v in values), axis=0)
        return self.constant(np.array(values, np.int64))

    def listed(self, name: str) -> str:
        """The whole numbers of a tensor of any shape as a vector."""
        return self("Reshape", self("Cast", name, to=TensorProto.INT64), self.vector([-1]))

    def where_zero(self, name: str) -> tuple[str, str]:
        """Where a tensor is zero, and a zero of its type."""
        zero = self.like(0.0, name)
        return self("Equal", name, zero), zero

    def end(self, kind: str, *inputs: str, **attributes: Any) -> None:
        self.graph.make_node(
            kind,
            [*inputs],
            attr=attributes,
            name=self.node.name,
            outputs=[self.node.output[0]],
            shapes=[self.shape],
            dtypes=[self.dtype],
        )


@handler(*_REFUSED)
def refused(graph: Any, node: Any, name: str, args: Any) -> None:
    raise Unwritten(f"{node.type}: {_REFUSED[node.type]}")
