"""Operators on quantized numbers. Rounding has no gradient: they are for networks that are run, not trained."""

from __future__ import annotations

from onnx import TensorProto

from bridge.graph import Node
from bridge.torch_side.operators.form import Known, dtype, integer, operator, present
from bridge.torch_side.operators.functions import quantized as functions
from bridge.torch_side.operators.functions.windows import convolve
from bridge.torch_side.operators.windows import _options, _read, _same
from bridge.torch_side.writing.part import Part, literal


def _given(node: Node, index: int) -> str | None:
    return f"{{{index}}}" if present(node, index) else None


def _tensor(node: Node, known: Known, index: int, like: int = 0) -> str:
    """An input as a tensor, where a constant of rank 0 would stand as a number."""
    value = known[index] if present(node, index) else None
    if value is None or value.ndim:
        return str(_given(node, index))
    return f"torch.tensor({literal(value.item())}, dtype=torch.{value.dtype.name}, device={{{like}}}.device)"


def _along(node: Node) -> str:
    """Which axis the scales lie along, and how many numbers share one, where that is not the usual."""
    axis, block = integer(node, "axis", 1), integer(node, "block_size", 0)
    return (f", axis={axis}" if axis != 1 else "") + (f", block={block}" if block else "")


@operator("QuantizeLinear")
def quantize(node: Node, known: Known) -> Part:
    kind = dtype(integer(node, "output_dtype", 0) or TensorProto.UINT8)
    call = f"quantize({{0}}, {_tensor(node, known, 1)}, {_tensor(node, known, 2)}, {kind}{_along(node)})"
    return Part(call=call, functions=(functions.quantize, functions.along))


@operator("DequantizeLinear")
def dequantize(node: Node, known: Known) -> Part:
    call = f"dequantize({{0}}, {_tensor(node, known, 1)}, {_tensor(node, known, 2)}{_along(node)})"
    return Part(call=call, functions=(functions.dequantize, functions.along))


@operator("DynamicQuantizeLinear")
def quantize_by_range(node: Node, known: Known) -> Part:
    return Part(call="quantize_by_range({0})", functions=(functions.quantize_by_range,))


@operator("MatMulInteger")
def multiply_integers(node: Node, known: Known) -> Part:
    zeros = f"{_tensor(node, known, 2)}, {_tensor(node, known, 3)}"
    return Part(
        call=f"multiply_integers({{0}}, {{1}}, {zeros})", functions=(functions.multiply_integers, functions.centered)
    )


@operator("QLinearMatMul")
def multiply_quantized(node: Node, known: Known) -> Part:
    listed = ", ".join(_tensor(node, known, index) for index in range(8))
    return Part(call=f"multiply_quantized({listed})", functions=(functions.multiply_quantized, functions.centered))


def _convolution(node: Node, x: str, weight: str, bias: str | None) -> str:
    groups = integer(node, "group", 1)
    options = _options(**_read(node), groups=groups if groups > 1 else (), same=_same(node))
    return f"convolve({x}, {weight}, {bias}{options})"


@operator("ConvInteger")
def convolve_integers(node: Node, known: Known) -> Part:
    x = f"({{0}}.double() - {_tensor(node, known, 2)})" if present(node, 2) else "{0}.double()"
    weight = f"centered_kernel({{1}}, {_tensor(node, known, 3)})"
    call = f"{_convolution(node, x, weight, None)}.to(torch.int32)"
    return Part(call=call, functions=(convolve, functions.centered_kernel))


@operator("QLinearConv")
def convolve_quantized(node: Node, known: Known) -> Part:
    x = f"({{0}}.double() - {_tensor(node, known, 2)})"
    weight = f"centered_kernel({{3}}, {_tensor(node, known, 5)})"
    bias = "{8}.double()" if present(node, 8) else None
    scales = ", ".join(_tensor(node, known, index) for index in (1, 4, 6, 7))
    call = f"requantize({_convolution(node, x, weight, bias)}, {scales})"
    return Part(call=call, functions=(convolve, functions.centered_kernel, functions.requantize))
