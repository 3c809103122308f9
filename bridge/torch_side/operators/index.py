"""Operators that pick or place elements: slices, gathers, scatters, one-hot, masks."""

from __future__ import annotations

from bridge.graph import Node
from bridge.torch_side.operators.form import (
    Known,
    dims,
    integer,
    operator,
    outputs,
    short_integers,
    sizes,
    tensor,
    whole,
    word,
)
from bridge.torch_side.operators.functions import common as functions
from bridge.torch_side.writing.part import Part

_FAR = 10**9  # from here on a bound of a slice means "to the end"; tf2onnx writes this number


@operator("Slice")
def slice_of(node: Node, known: Known) -> Part:
    """Bounds count and are cut as Python's do; an end far below zero with a negative step means "past the first"."""
    attributes = "starts" in node.attributes
    axes, steps = dims(node, known, 3), None if attributes else dims(node, known, 4, "steps")
    if not attributes and (known[1] is None or known[2] is None):
        call = f"slice_axes({{0}}, {sizes(node, known, 1)}, {sizes(node, known, 2)}, {axes}, {steps})"
        return Part(call=call, functions=(functions.slice_axes,))
    starts, ends = (dims(node, known, i, name) for i, name in ((1, "starts"), (2, "ends")))
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if any(step < 0 for step in steps):
        if all(
            s < 0 and end <= -_FAR and (s == -1) and start in (-1, _FAR, 2**63 - 1)
            for s, start, end in zip(steps, starts, ends, strict=True)
        ):
            return Part(call=f"{{0}}.flip({axes})")
        call = f"slice_axes({{0}}, {starts}, {ends}, {axes}, {steps})"
        return Part(call=call, functions=(functions.slice_axes,))
    cuts = dict(zip(axes, (_cut(*bounds) for bounds in zip(starts, ends, steps, strict=True)), strict=True))
    return Part(call="{0}" + _indexed({axis: cut for axis, cut in cuts.items() if cut != ":"}))


def _cut(start: int, end: int, step: int) -> str:
    first = "" if start == 0 else str(start)
    last = "" if end >= _FAR else str(end)
    return f"{first}:{last}" + ("" if step == 1 else f":{step}")


def _indexed(cuts: dict[int, str]) -> str:
    """What stands between brackets for some axes, those counted from the end in brackets of their own."""
    text = ""
    front = {axis: cut for axis, cut in cuts.items() if axis >= 0}
    if front:
        text += f"[{', '.join(front.get(axis, ':') for axis in range(max(front) + 1))}]"
    back = {axis: cut for axis, cut in cuts.items() if axis < 0}
    if back:
        text += f"[..., {', '.join(back.get(axis, ':') for axis in range(min(back), 0))}]"
    return text


@operator("Gather")
def gather(node: Node, known: Known) -> Part:
    axis, index = integer(node, "axis", 0), "{1}"
    if known[1] is not None and known[1].ndim == 0:
        index = str(int(known[1]))
    elif (items := short_integers(known[1])) is not None:
        index = str(items)
    return Part(call="{0}" + _indexed({axis: index}))


@operator("GatherElements")
def gather_elements(node: Node, known: Known) -> Part:
    call = f"gather_elements({{0}}, {{1}}, {integer(node, 'axis', 0)})"
    return Part(call=call, functions=(functions.gather_elements,))


@operator("GatherND")
def gather_nd(node: Node, known: Known) -> Part:
    call = f"gather_nd({{0}}, {{1}}, {integer(node, 'batch_dims', 0)})"
    return Part(call=call, functions=(functions.gather_nd,))


@operator("ScatterElements")
def scatter_elements(node: Node, known: Known) -> Part:
    reduction = word(node, "reduction", "none", "add", "mul", "max", "min")
    call = f'scatter_elements({{0}}, {{1}}, {{2}}, {integer(node, "axis", 0)}, "{reduction}")'
    return Part(call=call, functions=(functions.scatter_elements,))


@operator("ScatterND")
def scatter_nd(node: Node, known: Known) -> Part:
    reduction = word(node, "reduction", "none", "add", "mul", "max", "min")
    updates = tensor(known, 2, 0)
    return Part(call=f'scatter_nd({{0}}, {{1}}, {updates}, "{reduction}")', functions=(functions.scatter_nd,))


@operator("OneHot")
def one_hot(node: Node, known: Known) -> Part:
    call = f"one_hot({{0}}, {whole(node, known, 1)}, {{2}}, {integer(node, 'axis', -1)})"
    return Part(call=call, functions=(functions.one_hot,))


@operator("NonZero")
def non_zero(node: Node, known: Known) -> Part:
    return Part(call="torch.nonzero({0}).T")


@operator("Compress")
def compress(node: Node, known: Known) -> Part:
    axis = integer(node, "axis", 0) if "axis" in node.attributes else None
    return Part(call=f"compress({{0}}, {{1}}, {axis})", functions=(functions.compress,))


@operator("Unique")
def unique(node: Node, known: Known) -> Part:
    axis = integer(node, "axis", 0) if "axis" in node.attributes else None
    call = f"unique({{0}}, {axis}, {bool(integer(node, 'sorted', 1))})"
    return Part(call=outputs(node, call, 4), functions=(functions.unique,))


@operator("ReverseSequence")
def reverse_sequence(node: Node, known: Known) -> Part:
    batch, time = integer(node, "batch_axis", 1), integer(node, "time_axis", 0)
    return Part(call=f"reverse_sequence({{0}}, {{1}}, {batch}, {time})", functions=(functions.reverse_sequence,))
