"""Loops whose number of steps is known before the first one: what counts them, and how many there are.

TensorFlow writes a loop over numbers as one that goes on while a condition holds. Where that compares a state that
grows by the same number in each step with one that stays, torch's form is a `for` over a range, which its compilers
follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from bridge.graph import Graph, Node
from bridge.graph.changes.inner import attributes_of, inner_graphs

_COMPARED = {"Less": ("<", 0), "LessOrEqual": ("<", 1), "Greater": (">", 0), "GreaterOrEqual": (">", -1)}
_NOT = {"Less": "GreaterOrEqual", "LessOrEqual": "Greater", "Greater": "LessOrEqual", "GreaterOrEqual": "Less"}
_MOST = 2**63 - 1
_INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
_KEEP = (
    "Identity",
    "Gather",
    "Slice",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Add",
    "Sub",
    "Mul",
    "Max",
    "Min",
    "ReduceProd",
)


@dataclass(frozen=True)
class Number:
    """A whole number: that of a value (None: 0) and so much more."""

    value: str | None
    more: int


@dataclass(frozen=True)
class Limit:
    """A loop goes on while start + by * steps is less than `end`; where `by` is negative, while it is more."""

    start: int
    by: int
    end: Number

    @property
    def steps(self) -> int | None:
        """How many these are, where that is a constant."""
        return None if self.end.value is not None else max(0, -((self.start - self.end.more) // self.by))

    def text(self, value: Callable[[str], str]) -> str:
        """How many these are, as Python computes it. value: the text of a value."""
        if self.end.value is None:
            return str(self.steps)
        more = self.end.more - self.start
        total = value(self.end.value) + (f" {'+' if more > 0 else '-'} {abs(more)}" if more else "")
        if self.by == 1:
            return f"({total})" if more else total
        return f"(({total} + {self.by - 1}) // {self.by})"


@dataclass(frozen=True)
class Count:
    """A loop that counts. counters: (start, by) of the states that are the numbers of its steps, by their places.

    limits: each says a number of steps; the smallest one counts.
    """

    limits: tuple[Limit, ...]
    counters: dict[int, tuple[int, int]]


class Values:
    """The values of a graph, those inside of loops and conditions too, by what makes them. All names are different."""

    def __init__(self, graph: Graph):
        self.constants: Mapping[str, np.ndarray] = graph.constants
        self.makers: dict[str, Node] = {}
        self.read = {value.name for value in graph.outputs}
        self._whole = {value.name for value in graph.values.values() if value.dtype in ("int32", "int64")}
        self._add(graph.nodes)

    def _add(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self.makers |= dict.fromkeys(node.outputs, node)
            self.read |= {*node.inputs}
            for inner in inner_graphs(node).values():
                self.read |= {value.name for value in inner.output}
                self._whole |= {value.name for value in inner.input if value.type.tensor_type.elem_type in _INTEGERS}
                self._add(_node(proto) for proto in inner.node)

    def is_whole(self, name: str) -> bool:
        """Whether a value is known to be of whole numbers."""
        if name in self.constants or name in self._whole:
            return name in self._whole or self.constants[name].dtype.kind == "i"
        node = self.makers.get(name)
        if node is None or node.layer is not None:
            return False
        if node.kind == "Cast":
            return node.attributes.get("to") in _INTEGERS
        return node.kind in ("Shape", "Size") or (node.kind in _KEEP and self.is_whole(node.inputs[0]))

    def number(self, name: str) -> Number | None:
        """A value as another one and a constant more, which it is by additions and casts alone."""
        constant = self.constants.get(name)
        if constant is not None:
            known = constant.size == 1 and float(constant.reshape(())) == int(constant.reshape(()))
            return Number(None, int(constant.reshape(()))) if known else None
        node = self.makers.get(name)
        if node is None or node.layer is not None:
            return Number(name, 0)
        if node.kind == "Identity" or (node.kind == "Cast" and self.is_whole(node.inputs[0])):
            return self.number(node.inputs[0])
        if node.kind in ("Add", "Sub"):
            left, right = map(self.number, node.inputs)
            if left and right and right.value is None:
                return Number(left.value, left.more + (right.more if node.kind == "Add" else -right.more))
            if left and right and left.value is None and node.kind == "Add":
                return Number(right.value, left.more + right.more)
        return Number(name, 0)

    def conditions(self, name: str, true: str = "") -> list[tuple[Number, str, Number]] | None:
        """The comparisons that must all hold for a truth value to be true; None where there is more to it.

        true: a value that is true anyway.
        """
        if true and name == true:
            return []
        constant = self.constants.get(name)
        if constant is not None:
            return [] if constant.all() else None
        node = self.makers.get(name)
        if node is None or node.layer is not None:
            return None
        if node.kind == "Identity":
            return self.conditions(node.inputs[0], true)
        if node.kind == "And":
            both = [self.conditions(each, true) for each in node.inputs]
            return None if any(each is None for each in both) else [c for each in both for c in each or []]
        kind = node.kind
        if kind == "Not" and (node := self.makers.get(node.inputs[0])) is not None:  # type: ignore[assignment]
            kind = _NOT.get(node.kind, "")
        if kind not in _COMPARED:
            return None
        sign, more = _COMPARED[kind]
        left, right = map(self.number, node.inputs)
        if left is None or right is None:
            return None
        return [(left, sign, Number(right.value, right.more + more))]


def count(node: Node, body: onnx.GraphProto, values: Values) -> Count | None:
    """How a Loop counts; None if its condition is another one."""
    most, going, *starts = (*node.inputs, "", "")[: max(2, len(node.inputs))]
    counters = _counters(body, starts, values)
    inside = {value.name for value in body.input} | {name for each in body.node for name in each.output}
    limits = []
    if (end := values.number(most)) is not None and most and end != Number(None, _MOST):
        limits.append(Limit(0, 1, end))
    given = [value.name for value in body.input]
    conditions = values.conditions(body.output[0].name, true=given[1])
    begins = values.conditions(going) if going else []
    if conditions is None or begins is None:
        return None
    moving = {given[0]: (0, 1)} | {given[2 + place]: counter for place, counter in counters.items()}
    while_going = []
    for condition in conditions:
        found = _limit(condition, moving)
        if found is None or found.end.value in inside:
            return None
        while_going.append(found)
    if not _begins_so(while_going, limits, begins):
        return None
    limits = _smallest([*limits, *while_going])
    return Count(tuple(limits), counters) if limits else None


def _smallest(limits: list[Limit]) -> list[Limit]:
    """The limits without those that another one, of the same value, is never above."""

    def covers(one: Limit, other: Limit) -> bool:
        alike = one.end.value == other.end.value and one.by == other.by == 1
        return alike and one.end.more - one.start < other.end.more - other.start

    return [each for each in dict.fromkeys(limits) if not any(covers(other, each) for other in limits)]


def _counters(body: onnx.GraphProto, starts: list[str], values: Values) -> dict[int, tuple[int, int]]:
    """The states that begin as a constant and grow by a constant, whole numbers: (start, by) by their places."""
    found = {}
    for place, start in enumerate(starts):
        began, grown = values.constants.get(start), values.number(body.output[1 + place].name)
        whole = began is not None and began.ndim == 0 and began.dtype.kind == "i"
        if began is not None and whole and grown and grown.value == body.input[2 + place].name and grown.more:
            found[place] = (int(began), grown.more)
    return found


def _limit(condition: tuple[Number, str, Number], moving: dict[str, tuple[int, int]]) -> Limit | None:
    """What a condition at the end of each step says, from what its counter was at the step's begin."""
    left, sign, right = condition
    if left.value not in moving and right.value in moving:
        left, sign, right = right, {"<": ">", ">": "<"}[sign], left
    if left.value not in moving or right.value in moving:
        return None
    start, by = moving[left.value]
    if (by > 0) != (sign == "<") or (by < 0 and right.value is not None):
        return None
    return Limit(start - by + left.more, by, right)


def _begins_so(while_going: list[Limit], most: list[Limit], begins: list[tuple[Number, str, Number]]) -> bool:
    """Whether a loop begins where the limits say that it takes a step, and only there."""
    first = []
    for left, sign, right in begins:
        if sign == ">":
            left, right = right, left
        if left.value is not None or (right.value is None and left.more >= right.more):
            return False
        if right.value is not None:
            first.append((left.more, right))
    every = [*while_going, *most]
    told = all(any(each.end == end and each.start >= start for each in every) for start, end in first)
    takes = all(
        (each.steps or 0) >= 1
        if each.end.value is None
        else any(end == each.end and start >= each.start for start, end in first)
        for each in while_going
    )
    return told and takes


def _node(proto: onnx.NodeProto) -> Node:
    return Node(proto.name, proto.op_type, [*proto.input], [*proto.output], attributes=attributes_of(proto))
