"""Loops and conditions: what stands inside is a method of the module, called by a few lines of plain Python."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper

from bridge.graph import Graph, Node, Refused
from bridge.graph.changes.inner_layers import DOMAINS, node_of
from bridge.torch_side.operators import OPERATORS
from bridge.torch_side.operators.form import dtype, integer, integers, present
from bridge.torch_side.operators.functions import loops
from bridge.torch_side.writing.counted import Count, Values, count
from bridge.torch_side.writing.part import Part, literal
from bridge.torch_side.writing.sizes import with_plain_sizes
from bridge.torch_side.writing.sizes_forms import grown
from bridge.torch_side.writing.sizes_items import Plain, Sizes, as_tensor
from bridge.torch_side.writing.step import Step

_MOST = 2**63 - 1
_WORDS = ("step", "going")
_ONCE = ("AddedLoss", "ActivityRegularization")
CONTROL = ("If", "Loop", "Scan", "SequenceMap")


@dataclass
class Method:
    """The body of a loop, or a branch: a method of the module.

    inputs: the values that are its parameters, those that it takes from outside last. outputs: what it returns.
    several: it returns a tuple even of one output. words: what the first parameters are called. counts: the first one
    is a plain number.
    """

    name: str
    doc: str
    inputs: list[str]
    outputs: list[str]
    steps: list[Step]
    several: bool
    words: tuple[str, ...] = ()
    counts: bool = False


class Methods:
    """The methods of a module, made from the inner graphs of its nodes; those within come before their outer ones."""

    def __init__(self, graph: Graph, layer_step: Callable[[Node], Step]):
        self.graph, self._layer_step = graph, layer_step
        self.all: list[Method] = []
        self.problems: list[str] = []  # what of the inner graphs has no torch form
        self._first = next((value.name for value in graph.inputs if value.dtype != "sequence"), None)
        self._count: dict[str, int] = {}
        self._values = Values(graph)

    def steps(self, node: Node) -> list[Step]:
        """The steps of a standard operator: itself, behind the constants that its loop begins with."""
        if node.kind not in CONTROL:
            if node.kind not in OPERATORS:
                raise Refused(f"the ONNX operator {node.kind} has no torch form here yet")
            return [Step(node, OPERATORS[node.kind](node, [self.graph.constants.get(n) for n in node.inputs]), None)]
        forms = {"If": self._if, "Loop": self._loop, "Scan": self._scan, "SequenceMap": self._map}
        return forms[node.kind](node)

    def _if(self, node: Node) -> list[Step]:
        call = _Call(node)
        branches = []
        known = self.graph.constants.get(node.inputs[0])
        for branch in ("then", "else") if known is None else ("then",) if known.all() else ("else",):
            inner = self._inner(node, f"{branch}_branch")
            method = self._method(branch, f"What counts where the condition is {branch == 'then'}.", inner, [])
            branches.append(f"self.{method.name}({call.listed(method.inputs)})")
        if len(branches) == 1:
            return [call.step(branches[0])]
        return [call.step(f"({branches[0]} if {call.value(node.inputs[0])} else {branches[1]})")]

    def _loop(self, node: Node) -> list[Step]:
        inner = self._inner(node, "body")
        states = node.inputs[2:]
        counted = count(node, inner, self._values)
        if counted is not None:
            return self._repeat(node, inner, counted)
        begin, starts = self._tensors(states)
        doc = "One step of a loop: whether it goes on, what it goes on with, what it leaves behind."
        # the parameters of the body: the number of the step, whether the loop goes on, the states
        method = self._method("loop", doc, inner, [value.name for value in inner.input], free_outputs=1)
        given = method.inputs[len(inner.input) :]
        call = _Call(node)
        most = call.whole(node.inputs[0], self.graph) if present(node, 0) else "None"
        going = call.value(node.inputs[1]) if present(node, 1) else "True"
        scans = len(inner.output) - 1 - len(states)
        text = f"loop(self.{method.name}, {most}, {going}, {call.pair(starts)}, {call.pair(given)}"
        if scans:
            text += f", {_empties(inner, scans)}"
        return [*begin, call.step(_cut(f"{text})", node, len(node.outputs)), loops.loop)]

    def _repeat(self, node: Node, inner: onnx.GraphProto, counted: Count) -> list[Step]:
        """A loop whose number of steps is known: its counters are no states, but numbers in its body."""
        step, idle = f"{node.name}/step", set[int]()
        numbers = {inner.input[0].name: Sizes((Plain(step),), scalar=True)}
        for place, (start, by) in counted.counters.items():
            kind = helper.tensor_dtype_to_np_dtype(inner.input[2 + place].type.tensor_type.elem_type or 7).name
            numbers[inner.input[2 + place].name] = Sizes((grown(Plain(step), start, by),), scalar=True, dtype=kind)
            if node.outputs[place] not in self._values.read:
                idle.add(place)
        states = [name for place, name in enumerate(node.inputs[2:]) if place not in idle]
        begin, starts = self._tensors(states)
        own = [step, *(value.name for i, value in enumerate(inner.input) if i > 1 and i - 2 not in idle)]
        kept = [value.name for i, value in enumerate(inner.output) if i and i - 1 not in idle]
        doc = "One step of a loop: what it goes on with, what it leaves behind."
        method = self._method("loop", doc, inner, own, outputs=kept, numbers=numbers)
        call = _Call(node)
        times = list(dict.fromkeys(limit.text(lambda name: call.whole(name, self.graph)) for limit in counted.limits))
        known = [limit.steps for limit in counted.limits if limit.steps is not None]
        if known:
            times = [str(min(known)), *(text for text in times if not text.isdigit())]
        total = functools.reduce(lambda one, other: f"torch.sym_min({one}, {other})", times)
        text = f"repeat(self.{method.name}, {total}, {call.pair(starts)}, {call.pair(method.inputs[len(own) :])}"
        scans = len(inner.output) - 1 - len(node.inputs[2:])
        if scans:
            text += f", {_empties(inner, scans)}"
        outputs = [name for place, name in enumerate(node.outputs) if place not in idle]
        call.node = replace(node, outputs=outputs)
        return [*begin, call.step(_cut(f"{text})", node, len(outputs)), loops.repeat)]

    def _scan(self, node: Node) -> list[Step]:
        inner = self._inner(node, "body")
        count = integer(node, "num_scan_inputs", 0)
        states, scanned = node.inputs[: len(node.inputs) - count], node.inputs[len(node.inputs) - count :]
        begin, starts = self._tensors(states)
        doc = "One step of a scan: what it goes on with, what it leaves behind."
        method = self._method("scan", doc, inner, [value.name for value in inner.input])
        given = method.inputs[len(inner.input) :]
        call = _Call(node)
        options = ""
        for name, inputs in (("scan_input", count), ("scan_output", len(inner.output) - len(states))):
            for what in ("axes", "directions"):
                values = integers(node, f"{name}_{what}") or (0,) * inputs
                if any(values):
                    options += f", {name.removeprefix('scan_')}_{what}={literal(values)}"
        text = f"scan(self.{method.name}, {call.pair(starts)}, {call.pair(scanned)}, {call.pair(given)}{options})"
        return [*begin, call.step(_cut(text, node, len(node.outputs)), loops.scan)]

    def _map(self, node: Node) -> list[Step]:
        inner = self._inner(node, "body")
        doc = "What becomes of one element of a sequence."
        method = self._method("each", doc, inner, [value.name for value in inner.input])
        given = method.inputs[len(inner.input) :]
        call = _Call(node)
        text = f"map_sequence(self.{method.name}, {call.pair(node.inputs)}, {call.pair(given)})"
        return [call.step(_cut(text, node, len(node.outputs)), loops.map_sequence)]

    @staticmethod
    def _inner(node: Node, attribute: str) -> onnx.GraphProto:
        inner = node.attributes.get(attribute)
        if not isinstance(inner, onnx.GraphProto) or inner.initializer:
            raise Refused(f"{node.kind} without a readable {attribute}")
        return inner

    def _method(
        self,
        kind: str,
        doc: str,
        inner: onnx.GraphProto,
        own: list[str],
        free_outputs: int = 0,
        outputs: list[str] | None = None,
        numbers: dict[str, Sizes] | None = None,
    ) -> Method:
        """own: the values that are its parameters. free_outputs: of the first ones, which need be no tensors.

        outputs: what it returns, by default all. numbers: what in it is a plain number, by an own value that is one.
        """
        steps: list[Step] = []
        for proto in inner.node:
            node = node_of(self.graph, proto)
            try:
                if proto.domain not in ("", "ai.onnx", *DOMAINS):
                    raise Refused(f"a node of the domain {proto.domain!r} inside a loop or a condition")
                steps += [self._layer(node)] if node.layer is not None else self.steps(node)
            except Refused as reason:
                self.problems.append(f"{node}: {reason}")
        outputs = [value.name for value in inner.output] if outputs is None else outputs
        same = {step.node.outputs[0]: step.node.inputs[0] for step in steps if step.node.kind == "Identity"}
        outputs = [same[name] if same.get(name) in self.graph.constants else name for name in outputs]
        begin, tensors = self._tensors(outputs[free_outputs:])
        outputs = [*outputs[:free_outputs], *tensors]
        steps = with_plain_sizes([*steps, *begin], self.graph, {*outputs}, numbers)
        if numbers:
            steps = [*_as_tensors(steps, outputs, numbers, own), *steps]
        local = {name for step in steps for name in step.node.outputs} | {*own}
        mentioned = [name for step in steps for name in step.mentioned] + outputs
        outside = [n for n in mentioned if n and n not in local and not self._is_reached(n)]
        self._count[kind] = number = self._count.get(kind, 0) + 1
        name = f"_{kind}_{number}"  # no layer's name begins so
        several = kind not in ("then", "else") or len(outputs) > 1
        self.all.append(
            Method(
                name,
                doc,
                [*own, *dict.fromkeys(outside)],
                outputs,
                steps,
                several,
                _WORDS[:1] if numbers else _WORDS if kind == "loop" else (),
                counts=numbers is not None,
            )
        )
        return self.all[-1]

    def _layer(self, node: Node) -> Step:
        if node.kind in _ONCE:
            raise Refused(f"a node {node.kind} inside a loop or a condition: it knows the loss of one call")
        return self._layer_step(node)

    def _is_reached(self, name: str) -> bool:
        """Whether a method has the value without being given it: through `self`, or as a number."""
        return name in self.graph.weights or name in self.graph.constants

    def _tensors(self, names: list[str]) -> tuple[list[Step], list[str]]:
        """The values with those that are constant numbers, which would stand there as such, as tensors."""
        steps, made = [], []
        for name in names:
            array = self.graph.constants.get(name)
            if array is None or array.ndim:
                made.append(name)
                continue
            node = Node(f"{name}/tensor", "Constant", [self._first] if self._first else [], [f"{name}/tensor"])
            number = f"_{len(self.all)}_{len(steps)}"
            node.outputs[0] += number
            steps.append(Step(node, Part(call=_constant(array, bool(self._first))), None))
            made.append(node.outputs[0])
        return steps, made


class _Call:
    """A node's call, in whose text values stand as numbered inputs."""

    def __init__(self, node: Node):
        self.node, self.inputs = node, [*node.inputs]

    def value(self, name: str) -> str:
        if name not in self.inputs:
            self.inputs.append(name)
        return f"{{{self.inputs.index(name)}}}"

    def listed(self, names: list[str]) -> str:
        return ", ".join(map(self.value, names))

    def pair(self, names: list[str]) -> str:
        """A tuple."""
        return f"({self.listed(names)}{',' if len(names) == 1 else ''})"

    def whole(self, name: str, graph: Graph) -> str:
        known = graph.constants.get(name)
        if known is None:
            return f"{self.value(name)}.item()"
        most = int(known.reshape(()))
        return "None" if most == _MOST else str(most)

    def step(self, call: str, *functions: Callable[..., object]) -> Step:
        node = Node(self.node.name, self.node.kind, self.inputs, self.node.outputs, attributes=self.node.attributes)
        return Step(node, Part(call=call, functions=functions), None)


def _as_tensors(steps: list[Step], outputs: list[str], numbers: dict[str, Sizes], own: list[str]) -> list[Step]:
    """Those of the plain numbers that steps, or the outputs, need as tensors still."""
    needed = {name for step in steps for name in step.mentioned} | {*outputs}
    made = []
    for name, number in numbers.items():
        if name in needed and name not in own:
            node = Node(name, "Constant", [], [name])
            made.append(as_tensor(node, number, own[1] if len(own) > 1 else None))
    return made


def _cut(call: str, node: Node, outputs: int) -> str:
    return f"{call}[0]" if outputs == 1 else call


def _constant(array: np.ndarray, placed: bool) -> str:
    if array.dtype.name not in ("bool", "float16", "float32", "float64") and array.dtype.kind not in "iu":
        raise Refused(f"a constant of type {array.dtype.name} in a loop")
    device = ", device={0}.device" if placed else ""
    return f"torch.tensor({literal(array.item())}, dtype=torch.{array.dtype.name}{device})"


def _empties(inner: onnx.GraphProto, count: int) -> str:
    """What a loop of no steps leaves behind: the shapes and types of single steps, unknown sizes as 0."""
    listed = []
    for value in inner.output[len(inner.output) - count :]:
        kind = value.type.tensor_type
        shape = tuple(max(size.dim_value, 0) for size in kind.shape.dim)
        listed.append(f"({literal(shape)}, {dtype(kind.elem_type) if kind.elem_type else None})")
    return f"({', '.join(listed)}{',' if count == 1 else ''})"
