"""What stands in the place of each built-in layer while a model is traced: a placeholder, one for each call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.ops import custom_gradient

from bridge.errors import BridgeError
from bridge.graph import BODIES, Layer, Node, Value
from bridge.graph.bodies.recurrent_runs import RECURRENT
from bridge.graph.layer import ACT_IN_TRAINING, dropout_of
from bridge.keras_side.names import Names
from bridge.keras_side.tracing import (
    ctc,
    derivatives,
    dropping,
    layer_calls,
    layer_facts,
    own_gradients,
    own_layers,
    penalty_nodes,
    recurrent,
    time_distributed,
)
from bridge.keras_side.tracing.control_flow import in_inner_graph, in_loop_condition, operators_reason, penalty_reason
from bridge.keras_side.tracing.deeds import FOLLOWS, Deeds, is_own
from bridge.keras_side.tracing.forks import Forks
from bridge.keras_side.tracing.in_training import drawing_by, state
from bridge.keras_side.tracing.nodes import PLACEHOLDER, Call, placeholder_number
from bridge.keras_side.tracing.own_code import Losses
from bridge.keras_side.tracing.refusals import BUILT_IN
from bridge.keras_side.tracing.scopes import Scopes, opened
from bridge.keras_side.tracing.stand_ins import as_onnx_has_it
from bridge.own_rules import Rules

_CHANGED = "the model's code changes its weights"
LOSS_INSIDE = "it adds a loss inside a loop or a condition, where it would be lost; Keras's own fit stops there too"


class Tracer:
    """Takes the calls of a model's layers, in their order.

    forks: ids of the layers that are traced both ways. mode: the training flag, where it is not open.
    """

    def __init__(
        self,
        model: keras.Model,
        found: Names,
        inputs: Iterable[str],
        rules: Rules | None = None,
        forks: Iterable[int] = (),
        mode: bool | None = None,
    ):
        self.found, self.rules = found, rules or Rules()
        self.scopes = Scopes(model, found)
        self._paths = {*found.layers.values()}
        self.taken = {*inputs, *found.variables}  # the names of values that are there before any node
        self.forks = Forks(forks, mode)  # layers whose code does another thing in training
        self.begin({})

    def begin(self, values: dict[int, tf.Tensor]) -> None:
        """Forgets what was met before: TensorFlow may trace a function more than once. values: of the variables."""
        self.calls: list[Call] = []
        self.values = values
        self.masked: list[str] = []
        self.problems: list[str] = []  # gathered: Keras would wrap an error that is raised within a call in its own
        self.losses = Losses()
        self.own_gradients: list[str] = []
        self.lacking: list[str] = []  # notes of what training will lack
        self.dropping: dict[int, keras.Layer] = {}  # recurrent layers and cells with dropout that are no nodes
        self.uncropped = ""  # what to say if Keras then fails
        self.steps = time_distributed.Steps()
        self.forks.begin()
        self.deeds = Deeds(self._known_as, values.values())
        self._count: dict[str, int] = {}
        self._apart = False  # while a layer's own code is asked what it gives, no call is a node

    @contextlib.contextmanager
    def intercepting(self) -> Iterator[None]:
        """Puts placeholders in the place of what the known layers compute; Keras does all the rest of a call."""
        plain, by_tensorflow = keras.Operation.__call__, custom_gradient._graph_mode_decorator

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
            if self._apart:
                return plain(operation, *args, **kwargs)
            if isinstance(operation, keras.Layer) and is_own(operation):
                return self.deeds.apart(operation, lambda: taken(operation, args, kwargs))
            return taken(operation, args, kwargs)

        def taken(operation: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            result = None
            if isinstance(operation, keras.Layer) and self._is_made_anew(operation):
                return self._anew(operation, plain, args, kwargs)
            if isinstance(operation, keras.Layer) and dropping.drops_by_operators(operation, kwargs):
                self.dropping.setdefault(id(operation), operation)
            if own_layers.is_ruled(operation, self.rules) and self.scopes.path(operation) and not in_loop_condition():
                result = self._own(operation, args, kwargs)
            elif isinstance(operation, keras.Layer) and is_known(operation):
                args, kwargs = layer_calls.without_variables(args, kwargs)
                found = layer_calls.reason(self, operation, args, kwargs)
                apart = in_inner_graph() or self._is_changed(operation) or derivatives.recorded()
                if apart and (found := self._reason_apart(operation, kwargs, found)) is None:
                    return plain(operation, *args, **kwargs)  # operator by operator, its weights under their paths
                if not found and time_distributed.is_time_distributed(operation):
                    result = self._distributed(operation, args, kwargs)
                    found = None if result is not None else "its layer has several outputs"
                elif not found:
                    result = layer_calls.called(self, operation, args, kwargs)
                    return penalty_nodes.with_own_penalty(self, layer_facts.acting(operation), result)
                if found:
                    self.problems.append(f"{self.scopes.described(operation)}: {found}")
            if result is None and self.forks.takes(operation) and not in_loop_condition():
                return self.forks.in_both(self, operation, args, kwargs, own)
            return own(operation, args, kwargs, result)

        def code(operation: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not (isinstance(operation, keras.Layer) and is_own(operation)):
                return plain(operation, *args, **kwargs)
            return self.deeds.note(
                operation, self.forks.mode, (args, kwargs), lambda: plain(operation, *args, **kwargs)
            )

        def own(operation: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any = None) -> Any:
            if result is None:
                result = code(operation, args, kwargs)
            return self._with_losses(operation, result) if isinstance(operation, keras.Layer) else result

        with (
            mock.patch.object(keras.Operation, "__call__", call),
            # TensorFlow's graphs refuse names that Keras allows: "a b"
            mock.patch.object(
                keras.Layer, "_open_name_scope", lambda layer: keras.src.backend.name_scope(opened(layer))
            ),
            # Keras computes the penalty besides; L1 brings a tensor that no output needs, which stops tf2onnx
            mock.patch.object(keras.regularizers.L1, "__call__", lambda _, x: keras.ops.zeros((), x.dtype)),
            mock.patch.object(tf, "stop_gradient", self._stopped),
            ctc.standing_in(self),
            derivatives.guarded(self),
            mock.patch.object(custom_gradient, "_graph_mode_decorator", own_gradients.decorated(self, by_tensorflow)),
            mock.patch.object(keras.Layer, "add_loss", self._adding_losses()),
            as_onnx_has_it(),
        ):
            yield

    def _is_changed(self, layer: keras.Layer) -> bool:
        """Whether the model's code has assigned to a weight of it, as a masked convolution does before each call."""
        return any(state().get(id(v), self.values.get(id(v))) is not self.values.get(id(v)) for v in layer.variables)

    def _is_made_anew(self, layer: keras.Layer) -> bool:
        """Whether the model's code makes this layer for one call, which in training does nothing else."""
        if not is_known(layer) or id(layer) in self.found.layers:
            return False
        return not (type(layer).__name__ in ACT_IN_TRAINING or dropout_of(layer_facts.plain(layer.get_config())))

    def _anew(self, layer: keras.Layer, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What it computes, operator by operator; one with weights would have others each time."""
        problem = f"{self.scopes.described(layer)}: {layer_calls.ANEW}"
        self.problems.append(problem)
        result = call(layer, *args, **kwargs)
        if not layer.variables:
            self.problems.remove(problem)
        return result

    def _reason_apart(self, layer: keras.Layer, kwargs: dict[str, Any], reason: str | None) -> str | None:
        """Why a layer can't be called in a loop or a condition, or with other weights than its own.

        "" if it can be a node, None if operators alone. reason: why it can't be a node for other reasons.
        """
        if in_inner_graph() and (penalty := penalty_reason(layer)):
            return penalty
        if self._is_changed(layer):
            reason = _CHANGED
            if penalty_reason(layer):
                return f"{_CHANGED}, and its activity penalty would be lost"
        if derivatives.recorded():
            reason = "the model's own code asks for its gradient"
            if penalty_reason(layer):
                return f"{reason}, and its activity penalty would be lost"
        if in_loop_condition():
            reason = "it is called to say whether a loop goes on"
        if reason is None:
            return ""
        operators = operators_reason(layer, kwargs)
        return f"{reason}, and {operators}" if operators else None

    def _with_losses(self, layer: keras.Layer, result: Any) -> Any:
        """What a layer of the model's own gives, with the losses that it adds and the penalty on it."""
        if in_inner_graph() and (reason := penalty_reason(layer)):
            self.problems.append(f"{self.scopes.described(layer)}: {reason}")
            return result
        if (loss := self.losses.take(layer)) is not None:
            path = self.scopes.path(layer) or layer.name
            result = Losses.put(result, lambda t: penalty_nodes.with_loss(self, layer, path, t, loss))
        if layer.activity_regularizer is not None and penalty_nodes.penalized_by_node(layer):
            path = self.scopes.path(layer)
            return keras.tree.map_structure(lambda t: penalty_nodes.penalized(self, layer, path, t), result)
        return penalty_nodes.with_own_penalty(self, layer, result)

    def _adding_losses(self) -> Callable[[keras.Layer, Any], None]:
        def add_loss(layer: keras.Layer, loss: Any) -> None:
            if in_inner_graph() and not self._apart:
                if layer.activity_regularizer is not None:
                    return  # told of the call
                self.problems.append(f"{self.scopes.described(layer)}: {LOSS_INSIDE}")
            elif any(map(ctc.is_in, keras.tree.flatten(loss))):
                self.lacking.append(ctc.lack(self.scopes.described(layer)))
            else:
                self.losses.add(layer, loss)

        return add_loss

    @contextlib.contextmanager
    def apart(self) -> Iterator[list[int]]:
        """While this lasts, layers compute what they compute; the list then has the layers that added losses."""
        before, self._apart, added = self.losses, True, []
        self.losses = Losses()
        try:
            yield added
            added += self.losses.owners
        finally:
            self.losses, self._apart = before, False

    def _own(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a layer with a rule of the user's; None, and a problem, if it can't be a node."""
        try:
            return own_layers.call(self, layer, args, kwargs)
        except BridgeError as reason:
            self.problems.append(f"{self.scopes.described(layer)}: {reason}")
            return None

    def _stopped(self, x: Any, name: str | None = None) -> tf.Tensor:
        """TensorFlow's stop_gradient as a node: ONNX has no such operator, and tf2onnx leaves it out."""
        x = tf.convert_to_tensor(x)
        if in_loop_condition():
            return x  # no gradient goes through it
        name = self.free_name("stop_gradient")
        return self.alike(Layer("StopGradient", name, {"name": name}), name, [x])

    def _distributed(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def placeholder(described: Layer, name: str, x: list[tf.Tensor], output: Any, *, split: bool) -> tf.Tensor:
            return self.placeholders(described, name, x, [], [output], split=split)[0]

        path = self.scopes.path(layer)
        return time_distributed.call(layer, path, self.free_name(path), self.steps, placeholder, *args, **kwargs)

    def alike(self, layer: Layer, name: str, tensors: list[tf.Tensor]) -> tf.Tensor:
        """The output of a node that is a part of a layer: without weights, and of its first tensor's shape and type."""
        output = (tuple(tensors[0].shape), tensors[0].dtype.name)
        return self.placeholders(layer, name, tensors, [], [output], split=True)[0]

    def placeholders(
        self,
        layer: Layer,
        name: str,
        tensors: list[tf.Tensor],
        own: list[Any],
        outputs: list[layer_facts.Spec],
        *,
        split: bool = False,
        training: bool | None = None,
    ) -> list[tf.Tensor]:
        """The outputs, of these shapes and types, of a node that stands for the layer; the first is called `name`.

        own: the layer's variables. split: the node is a part of the layer. training: what the model's code fixed.
        """
        first = f"{name}/output" if name in self.taken else name
        values = [Value(f"{name}/{i}" if i else first, shape, dtype) for i, (shape, dtype) in enumerate(outputs)]
        names = [value.name for value in values]
        node = Node(name, layer.kind, [], names, layer, training, {"split": True} if split else {})
        inputs = [Value("", tuple(t.shape), t.dtype.name) for t in tensors]
        number = len(self.calls)
        self.calls.append(Call(node, inputs, values))
        weights = [self.values[id(v)] for v in own]
        types = [tf.as_dtype(value.dtype) for value in values]
        out = tf.numpy_function(lambda *_: np.zeros(()), [*tensors, *weights], types, name=f"{PLACEHOLDER}{number}")
        return [tf.ensure_shape(tensor, value.shape) for tensor, value in zip(out, values, strict=True)]

    def drawing(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, random numbers are drawn by nodes."""

        def draw(distribution: str, shape: Any) -> tf.Tensor:
            name = self.free_name(f"random/{distribution.lower()}")
            return self.alike(Layer(f"Random{distribution}", name, {"name": name}), name, [tf.zeros(shape)])

        return drawing_by(draw)

    def _known_as(self, operation: str) -> str | None:
        """What the node that a TensorFlow operation stands for is, whatever its number: for comparisons."""
        number = placeholder_number(operation)
        if number is None:
            return None
        node = self.calls[number].node
        known = f"{node.layer.path} {node.layer.config}" if node.layer.path in self._paths else ""
        return f"{node.kind} {known} {FOLLOWS if node.training is None else node.training}"

    def free_name(self, path: str) -> str:
        """A name for the node of a call: the second one of a layer is `path#2`."""
        self._count[path] = self._count.get(path, 0) + 1
        return path if self._count[path] == 1 else f"{path}#{self._count[path]}"


def is_known(layer: keras.Layer) -> bool:
    """Whether the layer is one of Keras's own (no subclass of one), as are the cells in it, and has a body."""
    kind = type(layer).__name__
    return is_built_in(layer) and kind in BODIES and (kind not in RECURRENT or recurrent.is_own(layer))


def is_built_in(layer: keras.Layer) -> bool:
    return type(layer).__module__.startswith(BUILT_IN)
