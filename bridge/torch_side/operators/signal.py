"""Operators on signals, and other ones of few users."""

from __future__ import annotations

from onnx import TensorProto

from bridge.graph import Node
from bridge.torch_side.operators.form import (
    Known,
    Operator,
    constant,
    dtype,
    integer,
    number,
    operator,
    present,
    scalar,
    whole,
    word,
)
from bridge.torch_side.operators.functions import signal as functions
from bridge.torch_side.operators.index import scatter_elements
from bridge.torch_side.writing.part import Part, literal


@operator("DFT")
def fourier(node: Node, known: Known) -> Part:
    """The axis is an attribute up to opset 19, the third input from 20 on."""
    axis = str(integer(node, "axis", 1)) if len(node.inputs) < 3 or "axis" in node.attributes else whole(node, known, 2)
    inverse, onesided = bool(integer(node, "inverse", 0)), bool(integer(node, "onesided", 0))
    length = whole(node, known, 1) if present(node, 1) else "None"
    return Part(call=f"fourier({{0}}, {length}, {axis}, {inverse}, {onesided})", functions=(functions.fourier,))


@operator("STFT")
def short_time_fourier(node: Node, known: Known) -> Part:
    window = "{2}" if present(node, 2) else "None"
    length = whole(node, known, 3) if present(node, 3) else "None"
    onesided = bool(integer(node, "onesided", 1))
    call = f"short_time_fourier({{0}}, {whole(node, known, 1)}, {window}, {length}, {onesided})"
    return Part(call=call, functions=(functions.short_time_fourier,))


def _window(*factors: float) -> Operator:
    def form(node: Node, known: Known) -> Part:
        kind, periodic = dtype(integer(node, "output_datatype", TensorProto.FLOAT)), bool(integer(node, "periodic", 1))
        call = f"cosine_window({whole(node, known, 0)}, {periodic}, {literal(factors)}, {kind}{_device(known)})"
        return Part(call=call, functions=(functions.cosine_window,))

    return form


operator("HannWindow")(_window(0.5, -0.5))
operator("HammingWindow")(_window(25 / 46, -21 / 46))
operator("BlackmanWindow")(_window(0.42, -0.5, 0.08))


@operator("MelWeightMatrix")
def mel_weights(node: Node, known: Known) -> Part:
    listed = ", ".join(whole(node, known, i) for i in range(3))
    edges = ", ".join(f"{{{i}}}.item()" if known[i] is None else scalar(known[i]) for i in (3, 4))
    kind = dtype(integer(node, "output_datatype", TensorProto.FLOAT))
    return Part(call=f"mel_weights({listed}, {edges}, {kind}{_device(known)})", functions=(functions.mel_weights,))


def _device(known: Known) -> str:
    """The device of the first computed input as a further argument; without one the CPU has to do."""
    return next((f", {{{i}}}.device" for i, value in enumerate(known) if value is None), "")


@operator("CumProd")
def product_so_far(node: Node, known: Known) -> Part:
    axis = int(constant(node, known, 1, "axes").reshape(()))
    options = f"{bool(integer(node, 'exclusive', 0))}, {bool(integer(node, 'reverse', 0))}"
    return Part(call=f"product_so_far({{0}}, {axis}, {options})", functions=(functions.product_so_far,))


@operator("TensorScatter")
def scatter_rows(node: Node, known: Known) -> Part:
    starts = "{2}" if present(node, 2) else None
    circular = word(node, "mode", "linear", "circular") == "circular"
    call = f"scatter_rows({{0}}, {{1}}, {starts}, {integer(node, 'axis', -2)}, {circular})"
    return Part(call=call, functions=(functions.scatter_rows,))


operator("Scatter")(scatter_elements)  # its old name


@operator("Swish")
def swish(node: Node, known: Known) -> Part:
    alpha = number(node, "alpha", 1.0)
    return Part(call="F.silu({0})" if alpha == 1 else f"({{0}} * torch.sigmoid({alpha!r} * {{0}}))")


@operator("SwiGLU")
def gated(node: Node, known: Known) -> Part:
    return Part(call=f"gated({{0}}, {{1}}, {number(node, 'alpha', 1.0)!r})", functions=(functions.gated,))


@operator("BitCast")
def same_bits(node: Node, known: Known) -> Part:
    return Part(call=f"{{0}}.view({dtype(integer(node, 'to', 0))})")
