"""Operators that sum over axes: reductions, matrix products, normalization."""

from __future__ import annotations

import re

from bridge.graph import Node, Refused
from bridge.torch_side.operators.form import (
    Known,
    Operator,
    constant,
    dims,
    integer,
    number,
    operator,
    outputs,
    present,
    whole,
)
from bridge.torch_side.operators.functions import common as functions
from bridge.torch_side.operators.functions.normal import training_norm
from bridge.torch_side.writing.part import Part, literal

# {x}: the input, {over}: axes and keepdim. sum and prod of small integers would give int64 without a dtype.
_REDUCTIONS = {
    "ReduceSum": "{x}.sum({over}, dtype={x}.dtype)",
    "ReduceMean": "{x}.mean({over})",
    "ReduceMax": "{x}.amax({over})",
    "ReduceMin": "{x}.amin({over})",
    "ReduceL1": "{x}.abs().sum({over}, dtype={x}.dtype)",
    "ReduceL2": "torch.linalg.vector_norm({x}, {over})",
    "ReduceSumSquare": "{x}.square().sum({over}, dtype={x}.dtype)",
    "ReduceLogSum": "{x}.sum({over}).log()",
    "ReduceLogSumExp": "torch.logsumexp({x}, {over})",
}
_UNREDUCED = {  # without axes, and without meaning all of them
    "ReduceL1": "torch.abs({0})",
    "ReduceL2": "torch.abs({0})",
    "ReduceSumSquare": "{0}.square()",
    "ReduceLogSum": "torch.log({0})",
}


_COMPUTED = "tuple({1}.tolist())"


def _axes(node: Node, known: Known) -> tuple[tuple[int, ...] | str, bool]:
    """The axes of a reduction, () for all, or as text where they are computed; and whether it does nothing."""
    idle = bool(integer(node, "noop_with_empty_axes", 0))
    if present(node, 1) and known[1] is None:
        if idle:
            raise Refused(f"{node.kind} with axes that are computed at run time, and that may be none")
        return _COMPUTED, False
    axes = dims(node, known, 1) or ()
    return axes, not axes and idle


def _over(kind: str, axes: tuple[int, ...] | str, keep: bool) -> str:
    if isinstance(axes, str):
        text = f"dim={axes}"
    elif axes:
        text = f"dim={literal(axes[0] if len(axes) == 1 else axes)}"
    elif kind in ("ReduceMax", "ReduceMin"):
        text = "dim=()"  # theirs for all axes
    else:
        text = "dim=None"
    return f"{text}, keepdim=True" if keep else text


def _reduction(kind: str, form: str) -> Operator:
    def reduce(node: Node, known: Known) -> Part:
        axes, idle = _axes(node, known)
        if idle:
            return Part(call=_UNREDUCED.get(kind, "{0}"))
        if kind == "ReduceLogSumExp" and not axes:
            back = ".reshape([1] * {0}.ndim)" if integer(node, "keepdims", 1) else ""
            return Part(call="{0}.flatten().logsumexp(0)" + back)
        over = _over(kind, axes, bool(integer(node, "keepdims", 1)))
        return Part(call=form.replace("{over}", over).replace("{x}", "{0}"))

    return reduce


for _kind, _form in _REDUCTIONS.items():
    operator(_kind)(_reduction(_kind, _form))


@operator("ReduceProd")
def reduce_product(node: Node, known: Known) -> Part:
    axes, idle = _axes(node, known)
    keep = bool(integer(node, "keepdims", 1))
    if idle:
        return Part(call="{0}")
    if len(axes) == 1 and not isinstance(axes, str):
        return Part(call=f"{{0}}.prod({_over('ReduceProd', axes, keep)}, dtype={{0}}.dtype)")
    return Part(call=f"product({{0}}, {axes}, {keep})", functions=(functions.product,))


def _place_of(function: str) -> Operator:
    def form(node: Node, known: Known) -> Part:
        axis, keep = integer(node, "axis", 0), bool(integer(node, "keepdims", 1))
        if integer(node, "select_last_index", 0):
            call = f"last_place({{0}}, {axis}, {keep}, {function == 'torch.argmax'})"
            return Part(call=call, functions=(functions.last_place,))
        return Part(call=f"{function}({{0}}, dim={axis}{', keepdim=True' if keep else ''})")

    return form


operator("ArgMax")(_place_of("torch.argmax"))
operator("ArgMin")(_place_of("torch.argmin"))


@operator("CumSum")
def cumulative_sum(node: Node, known: Known) -> Part:
    axis = int(constant(node, known, 1, "axes").reshape(()))
    exclusive, reverse = bool(integer(node, "exclusive", 0)), bool(integer(node, "reverse", 0))
    if not exclusive and not reverse:
        return Part(call=f"{{0}}.cumsum(dim={axis}, dtype={{0}}.dtype)")
    call = f"cumulative_sum({{0}}, {axis}, {exclusive}, {reverse})"
    return Part(call=call, functions=(functions.cumulative_sum,))


@operator("TopK")
def top_k(node: Node, known: Known) -> Part:
    axis, largest = integer(node, "axis", -1), bool(integer(node, "largest", 1))
    call = f"top_k({{0}}, {whole(node, known, 1)}, {axis}, {largest})"
    return Part(call=outputs(node, call, 2), functions=(functions.top_k,))


@operator("MatMul")
def matmul(node: Node, known: Known) -> Part:
    return Part(call="({0} @ {1})")


@operator("Gemm")
def gemm(node: Node, known: Known) -> Part:
    """alpha * A @ B + beta * C, A and B transposed where told."""
    left = "{0}.T" if integer(node, "transA", 0) else "{0}"
    right = "{1}.T" if integer(node, "transB", 0) else "{1}"
    alpha, beta = number(node, "alpha", 1.0), number(node, "beta", 1.0)
    call = f"{left} @ {right}" if alpha == 1 else f"{alpha!r} * ({left} @ {right})"
    if present(node, 2) and beta:
        call += " + {2}" if beta == 1 else f" + {beta!r} * {{2}}"
    return Part(call=f"({call})")


@operator("Einsum")
def einsum(node: Node, known: Known) -> Part:
    equation = node.attributes["equation"].decode("ascii", "replace").replace(" ", "")
    if not re.fullmatch(r"[A-Za-z.,]*(->[A-Za-z.]*)?", equation):
        raise Refused("Einsum with an equation of other than letters")
    return Part(call=f'torch.einsum("{equation}", {", ".join(f"{{{i}}}" for i in range(len(known)))})')


@operator("Det")
def determinant(node: Node, known: Known) -> Part:
    return Part(call="torch.linalg.det({0})")


@operator("BatchNormalization")
def batch_normalization(node: Node, known: Known) -> Part:
    """With given statistics, over axis 1; with those of the batch where the graph itself says so."""
    epsilon = number(node, "epsilon", 1e-5)
    if integer(node, "training_mode", 0):
        call = f"training_norm({{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {epsilon!r}, {number(node, 'momentum', 0.9)!r})"
        return Part(call=outputs(node, call, 3), functions=(training_norm,))
    if known[3] is not None and known[4] is not None:
        return Part(call=f"F.batch_norm({{0}}, {{3}}, {{4}}, {{1}}, {{2}}, eps={epsilon!r})")
    # torch's own gives computed statistics no gradient
    call = f"batch_norm({{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {epsilon!r})"
    return Part(call=call, functions=(functions.batch_norm,))


@operator("InstanceNormalization")
def instance_normalization(node: Node, known: Known) -> Part:
    """torch's own refuses a single position, so it is written out."""
    call = f"instance_norm({{0}}, {{1}}, {{2}}, {number(node, 'epsilon', 1e-5)!r})"
    return Part(call=call, functions=(functions.instance_norm,))


@operator("LayerNormalization")
def layer_normalization(node: Node, known: Known) -> Part:
    axis, epsilon = integer(node, "axis", -1), number(node, "epsilon", 1e-5)
    if integer(node, "stash_type", 1) != 1:
        raise Refused("LayerNormalization that computes in another type than float32")
    bias = "{2}" if present(node, 2) else None
    if len(node.outputs) == 1:
        call = f"F.layer_norm({{0}}, {{0}}.shape[{axis}:], eps={epsilon!r}) * {{1}}"
        return Part(call=f"({call} + {bias})" if bias else f"({call})")
    call = f"layer_norm({{0}}, {{1}}, {bias}, {axis}, {epsilon!r})"
    return Part(call=outputs(node, call, 3), functions=(functions.layer_norm,))
