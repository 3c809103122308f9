"""Layers of the model's own whose code does another thing in training: both ways of a call, and what it draws there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from bridge.graph import Layer
from bridge.graph.changes.in_training import KINDS
from bridge.keras_side.tracing.control_flow import is_reachable
from bridge.keras_side.tracing.in_training import Flag, given, state
from bridge.keras_side.tracing.nodes import Call, placeholder_number

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer

Plain = Callable[[keras.Layer, tuple[Any, ...], dict[str, Any]], Any]


class Forks:
    """The layers that are traced both ways.

    asked: ids of those whose code does another thing in training. mode: what the training flag is in all of the trace,
    None if it is open. unforked: those whose two ways can't be brought together, and why. forking: whether what is
    traced now is within one of them.
    """

    def __init__(self, asked: Iterable[int] = (), mode: bool | None = None):
        self.asked, self._mode = {*asked}, mode
        self.begin()

    def begin(self) -> None:
        """Forgets what was met before."""
        self.unforked: dict[str, str] = {}
        self.forking = False
        self.mode = self._mode

    def takes(self, operation: keras.Operation) -> bool:
        return id(operation) in self.asked and not self.forking

    def is_callers(self, training: Any) -> bool:
        """Whether a training flag is what the caller of the model chose, and not what its code did."""
        return type(training) is Flag or (self.mode is not None and training == self.mode)

    @contextlib.contextmanager
    def _in(self, mode: bool) -> Iterator[None]:
        self.mode = mode
        try:
            yield
        finally:
            self.mode = self._mode

    def in_both(self, tracer: Tracer, layer: keras.Layer, args: tuple[Any, ...], kwargs: Any, call: Plain) -> Any:
        """What a layer of the model's own gives in inference, or in training: a node takes one of them."""
        self.forking, first = True, len(tracer.calls)
        try:
            with self._in(False), given(False, layer, args, kwargs) as told:
                result = call(layer, *told)
            before, second = dict(state()), len(tracer.calls)
            with self._in(True), given(True, layer, args, kwargs) as told, tracer.drawing():
                trained = call(layer, *told)
        finally:
            self.forking = False
        _freeze(tracer.calls[first:second], tracer.calls[second:])
        after, mine = dict(state()), keras.tree.flatten(result)
        state().clear()
        state().update(before)
        theirs = keras.tree.flatten(trained)
        forms = [[(t.dtype, t.shape) if tf.is_tensor(t) else t for t in leaves] for leaves in (mine, theirs)]
        if forms[0] != forms[1]:
            self.unforked[tracer.scopes.described(layer)] = "what it gives is of another form in training"
            return result
        assigned = [v for v in layer.variables if after.get(id(v)) is not before.get(id(v))]
        if not all(is_reachable(tf.convert_to_tensor(after[id(variable)])) for variable in assigned):
            self.unforked[tracer.scopes.described(layer)] = "it assigns to a variable inside a loop or a condition"
            return result
        _assign(tracer, layer, theirs, assigned, after)
        places = [i for i, one in enumerate(mine) if tf.is_tensor(one) and one is not theirs[i]]
        if not places:
            return result
        return keras.tree.pack_sequence_as(result, _chosen(tracer, layer, mine, theirs, places))


def _freeze(inference: list[Call], training: list[Call]) -> None:
    """Calls in inference of layers that are frozen in training too: the model's code said False in both."""
    frozen = {call.node.layer.path for call in training if call.node.training is False}
    for call in inference:
        if call.node.layer.path in frozen:
            call.node.training = False


def _assign(
    tracer: Tracer, layer: keras.Layer, results: list[Any], variables: list[Any], after: dict[int, Any]
) -> None:
    """Hangs the new values of variables on the first tensor that a layer gives in training."""
    path = tracer.scopes.path(layer)
    for variable in variables:
        if id(variable) not in tracer.values:
            continue
        place = next(i for i, t in enumerate(results) if tf.is_tensor(t))
        described = Layer("AssignedState", path, {"name": layer.name})
        value = tf.cast(after[id(variable)], variable.dtype)
        given = [results[place], value, tracer.values[id(variable)]]
        results[place] = tracer.alike(described, tracer.free_name(f"{path}/assigned"), given)


def _chosen(tracer: Tracer, layer: keras.Layer, mine: list[Any], theirs: list[Any], places: list[int]) -> list[Any]:
    """The leaves of what a layer gives in inference, those that are others in training by way of a node."""
    path = tracer.scopes.path(layer)
    given = [leaves[i] for leaves in (mine, theirs) for i in places]
    outputs = [(tuple(mine[i].shape), mine[i].dtype.name) for i in places]
    described = Layer("InTraining", path, {"name": layer.name})
    chosen = tracer.placeholders(described, tracer.free_name(f"{path}/chosen"), given, [], outputs, split=True)
    for place, tensor in zip(places, chosen, strict=True):
        if (mask := getattr(mine[place], "_keras_mask", None)) is not None:
            tensor._keras_mask = mask
        mine[place] = tensor
    return mine


def needed(tracer: Tracer, operation: tf.Operation) -> Iterable[tf.Tensor]:
    """The inputs of an operation that count in inference."""
    number = placeholder_number(operation.name) if operation.type == "PyFunc" else None
    chosen = number is not None and tracer.calls[number].node.kind in KINDS
    return operation.inputs[: len(operation.outputs)] if chosen else operation.inputs
