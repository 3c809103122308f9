"""Operators on sequences, which are lists in Python, and on what may be absent, which is None."""

from __future__ import annotations

from bridge.graph import Node
from bridge.torch_side.operators.form import Known, integer, operator, present, whole
from bridge.torch_side.operators.functions import sequences as functions
from bridge.torch_side.writing.part import Part


@operator("SequenceConstruct")
def construct(node: Node, known: Known) -> Part:
    return Part(call=f"[{', '.join(f'{{{i}}}' for i in range(len(node.inputs)))}]")


@operator("SequenceEmpty")
def empty(node: Node, known: Known) -> Part:
    return Part(call="[]")


@operator("SequenceInsert")
def insert(node: Node, known: Known) -> Part:
    place = f", {whole(node, known, 2)}" if present(node, 2) else ""
    return Part(call=f"inserted({{0}}, {{1}}{place})", functions=(functions.inserted,))


@operator("SequenceErase")
def erase(node: Node, known: Known) -> Part:
    place = f", {whole(node, known, 1)}" if present(node, 1) else ""
    return Part(call=f"erased({{0}}{place})", functions=(functions.erased,))


@operator("SequenceAt")
def element(node: Node, known: Known) -> Part:
    return Part(call=f"{{0}}[{whole(node, known, 1)}]")


@operator("SequenceLength")
def length(node: Node, known: Known) -> Part:
    return Part(call="torch.tensor(len({0}))")


@operator("SplitToSequence")
def split(node: Node, known: Known) -> Part:
    axis, keep = integer(node, "axis", 0), bool(integer(node, "keepdims", 1))
    value = known[1] if present(node, 1) else None
    given = "{1}" if present(node, 1) else None
    if value is not None and value.ndim == 0:
        given = f"torch.tensor({int(value)})"
    return Part(call=f"split_up({{0}}, {given}, {axis}, {keep})", functions=(functions.split_up,))


@operator("ConcatFromSequence")
def join(node: Node, known: Known) -> Part:
    call = f"joined({{0}}, {integer(node, 'axis', 0)}, {bool(integer(node, 'new_axis', 0))})"
    return Part(call=call, functions=(functions.joined,))


@operator("Optional")
def optional(node: Node, known: Known) -> Part:
    return Part(call="{0}" if present(node, 0) else "None")


@operator("OptionalHasElement")
def has_element(node: Node, known: Known) -> Part:
    return Part(call="torch.tensor({0} is not None)" if present(node, 0) else "torch.tensor(False)")


@operator("OptionalGetElement")
def get_element(node: Node, known: Known) -> Part:
    return Part(call="{0}")
