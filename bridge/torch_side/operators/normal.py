"""Operators that normalize, and losses."""

from __future__ import annotations

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import Known, integer, integers, number, operator, outputs, present, word
from bridge.torch_side.operators.functions import normal as functions
from bridge.torch_side.writing.part import Part, literal


@operator("GroupNormalization")
def group_normalization(node: Node, known: Known) -> Part:
    call = f"group_norm({{0}}, {{1}}, {{2}}, {integer(node, 'num_groups', 1)}, {number(node, 'epsilon', 1e-5)!r})"
    return Part(call=call, functions=(functions.group_norm,))


@operator("RMSNormalization")
def rms_normalization(node: Node, known: Known) -> Part:
    call = f"rms_norm({{0}}, {{1}}, {integer(node, 'axis', -1)}, {number(node, 'epsilon', 1e-5)!r})"
    return Part(call=call, functions=(functions.rms_norm,))


@operator("MeanVarianceNormalization")
def mean_variance_normalization(node: Node, known: Known) -> Part:
    axes = integers(node, "axes") or (0, 2, 3)
    return Part(call=f"mean_variance_norm({{0}}, {literal(axes)})", functions=(functions.mean_variance_norm,))


@operator("LpNormalization")
def power_normalization(node: Node, known: Known) -> Part:
    call = f"power_norm({{0}}, {integer(node, 'axis', -1)}, {integer(node, 'p', 2)})"
    return Part(call=call, functions=(functions.power_norm,))


@operator("LRN")
def local_response(node: Node, known: Known) -> Part:
    """torch divides alpha by the size too."""
    size, alpha, beta = integer(node, "size", 0), number(node, "alpha", 1e-4), number(node, "beta", 0.75)
    if size % 2 == 0:
        raise Refused("LRN over an even number of channels, which torch begins elsewhere")
    bias = number(node, "bias", 1.0)
    return Part(call=f"F.local_response_norm({{0}}, {size}, alpha={alpha!r}, beta={beta!r}, k={bias!r})")


@operator("Hardmax")
def hard_max(node: Node, known: Known) -> Part:
    return Part(call=f"hard_max({{0}}, {integer(node, 'axis', -1)})", functions=(functions.hard_max,))


def _loss(node: Node) -> str:
    ignored = integer(node, "ignore_index", 0) if "ignore_index" in node.attributes else None
    weight = "{2}" if present(node, 2) else None
    return f'({{0}}, {{1}}, {weight}, {ignored}, "{word(node, "reduction", "mean", "sum", "none")}")'


@operator("NegativeLogLikelihoodLoss")
def likelihood_loss(node: Node, known: Known) -> Part:
    return Part(call=f"likelihood_loss{_loss(node)}", functions=(functions.likelihood_loss,))


@operator("SoftmaxCrossEntropyLoss")
def softmax_loss(node: Node, known: Known) -> Part:
    return Part(call=outputs(node, f"softmax_loss{_loss(node)}", 2), functions=(functions.softmax_loss,))
