"""What the code of a model's own layers does in a trace, so that two traces can be compared layer by layer.

Python code may ask for the training flag in ways that no object can notice (`training is True`). So a model is traced
with a real True and a real False too: what does another thing in the two depends on the flag, however it asks for it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from bridge.keras_side.tracing.in_training import state
from bridge.keras_side.tracing.refusals import BUILT_IN

FOLLOWS = "<mode>"  # what a node does that is in training when the model is, until it is said which
_IDLE = ("token", "shared_name", "container")  # attributes that are others in each trace
_MODES = (False, True)
_OLD = "bridge.keras_side.old."  # layers that compute by code of their own, as the user's do


def is_own(layer: keras.Layer) -> bool:
    """Whether the code of a layer, or of a function in it, is the user's."""
    module = type(layer).__module__
    if isinstance(layer, keras.layers.Lambda) or (module.startswith(_OLD) and not module.startswith(BUILT_IN)):
        return True
    return not module.startswith((*BUILT_IN, "keras.src.models", "bridge."))


@dataclass(frozen=True)
class _Call:
    """A layer's call, by the id of the layer: its operations in a graph, from one up to another, and what it gave."""

    start: int
    end: int
    layer: int
    results: list[tf.Tensor]


class Deeds:
    """For each layer of the model's own what its calls did, in a few bytes each, by what the training flag was.

    called: what a node in the place of a layer's call is known by. weights: the tensors of the model's variables, in
    their order. parents: by a layer's id, the layer in whose code it is called.
    """

    def __init__(self, called: Callable[[str], str | None], weights: Iterable[tf.Tensor]):
        self._called = called
        self.done: dict[bool, dict[int, list[str]]] = {mode: defaultdict(list) for mode in _MODES}
        self.parents: dict[int, keras.Layer] = {}
        self.layers: dict[int, keras.Layer] = {}
        self._within: list[keras.Layer] = []
        self._calls: dict[int, list[_Call]] = defaultdict(list)  # by a graph's id
        self._names = {self._key(weight): f"weight {i}" for i, weight in enumerate(weights)}  # known in all code
        self._changed: list[set[int]] = []  # variables that the calls within the present ones assigned to
        self._graphs: list[tf.Graph] = []  # kept, for their ids

    def note(self, layer: keras.Layer, mode: bool | None, args: Any, call: Callable[[], Any]) -> Any:
        """The result of a call of a layer. mode: what the flag is, None if that is still open."""
        graph = tf.compat.v1.get_default_graph()
        self._graphs.append(graph)
        first, before = len(graph.get_operations()), dict(state())
        if self._within:
            self.parents.setdefault(id(layer), self._within[-1])
        self._within.append(layer)
        self._changed.append(set())
        try:
            result = call()
        finally:
            self._within.pop()
            changed = self._changed.pop()
        after = state()
        own = [i for i in after if after[i] is not before.get(i) and i not in changed]
        names = {self._key(t): f"given {i}" for i, t in enumerate(_tensors(args))}
        lines = list(self._lines(graph, graph.get_operations()[first:], first, names))
        lines += [self._name(t, names) if tf.is_tensor(t) else type(t).__name__ for t in keras.tree.flatten(result)]
        lines += [f"{i} = {self._name(after[i], names)}" for i in own]
        told = "\n".join(lines)
        for each in _MODES if mode is None else (mode,):
            deed = told.replace(FOLLOWS, str(each))  # as what is never in training is the same in inference
            self.done[each][id(layer)].append(_digest(deed.encode()))
        self.layers[id(layer)] = layer
        return result

    def apart(self, layer: keras.Layer, call: Callable[[], Any]) -> Any:
        """The result of a call of a layer, which is one deed of the code that calls it, whatever is done there."""
        graph = tf.compat.v1.get_default_graph()
        first, before = len(graph.get_operations()), dict(state())
        self._graphs.append(graph)
        result = call()
        self._calls[id(graph)].append(_Call(first, len(graph.get_operations()), id(layer), _tensors(result)))
        if self._changed:
            self._changed[-1] |= {i for i, value in state().items() if value is not before.get(i)}
        return result

    def _lines(
        self, graph: tf.Graph, operations: Iterable[tf.Operation], first: int, names: dict[tuple[int, str], str]
    ) -> Iterator[str]:
        """A line for each operation, those of other layers' calls as one."""
        calls, end, number = _outermost(self._calls[id(graph)], first), first, 0
        for place, operation in enumerate(operations, first):
            if place in calls:
                end = calls[place].end
                names.update({self._key(t): f"{number}:{i}" for i, t in enumerate(calls[place].results)})
                number += 1
                yield f"call {calls[place].layer}"
            if place < end or operation.type == "Placeholder":  # what a loop takes from outside, at its first use
                continue
            for i, output in enumerate(operation.outputs):
                names[self._key(output)] = f"{number}:{i}"
            number += 1
            yield " ".join([self._kind(operation, graph), *(self._name(t, names) for t in operation.inputs)])

    def _kind(self, operation: tf.Operation, graph: tf.Graph) -> str:
        known = self._called(operation.name) if operation.type == "PyFunc" else None
        return known or " ".join([operation.type, *self._attributes(operation, graph)])

    def _attributes(self, operation: tf.Operation, graph: tf.Graph) -> Iterator[str]:
        for name, value in sorted(operation.node_def.attr.items()):
            if name.startswith("_") or name in _IDLE:
                continue
            functions = [value.func.name] if value.HasField("func") else [f.name for f in value.list.func]
            for function in functions:
                inner = graph._get_function(function).graph
                names = {self._key(t): f"argument {i}" for i, t in enumerate(inner.inputs)}
                lines = [*self._lines(inner, inner.get_operations(), 0, names)]
                yield "\n".join([name, *lines, *(self._name(t, names) for t in inner.outputs)])
            if not functions:
                yield f"{name}={_digest(value.SerializeToString(deterministic=True))}"

    def _name(self, tensor: Any, names: dict[tuple[int, str], str]) -> str:
        key = self._key(tensor)
        if known := names.get(key) or self._names.get(key):
            return known
        captures = getattr(getattr(tensor, "graph", None), "captures", ())  # what code in a loop takes from outside
        return next((self._name(outer, names) for outer, inner in captures if self._key(inner) == key), "outside")

    @staticmethod
    def _key(tensor: Any) -> tuple[int, str]:
        return (id(tensor.graph), str(getattr(tensor, "name", ""))) if hasattr(tensor, "graph") else (0, "")


def apart(one: Deeds, other: Deeds, mode: bool) -> list[keras.Layer]:
    """The layers that, with the training flag of a mode, did one thing in one trace and another thing in the other."""
    mine, theirs = one.done[mode], other.done[mode]
    layers = one.layers | other.layers
    return [layers[i] for i in layers if mine.get(i) != theirs.get(i)]


def _tensors(values: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(values) if tf.is_tensor(leaf)]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _outermost(calls: list[_Call], first: int) -> dict[int, _Call]:
    """The calls from a place on that are in no other one, by their first operation."""
    found: dict[int, _Call] = {}
    for call in calls:
        if call.start >= first and call.end > (found[call.start].end if call.start in found else call.start):
            found[call.start] = call
    return found
