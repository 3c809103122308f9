"""Gradients that a model's own code says by `custom_gradient`: traced as what they compute, and a node has them."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

import keras
import tensorflow as tf

from bridge.graph import Layer
from bridge.keras_side.tracing import derivatives

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer
# TensorFlow's name for what computes once more in the backward pass, to save memory: its gradient is the usual one
_RECOMPUTING = "recompute_grad.<locals>.inner"


def decorated(tracer: Tracer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """What TensorFlow's custom_gradient does with a function in a graph, its gradient as nodes."""

    def call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if function.__qualname__ == _RECOMPUTING and str(function.__module__).startswith("tensorflow."):
            return inspect.getclosurevars(function).nonlocals["f"](*args, **kwargs)
        if kwargs or _says_what_is_right(function):
            return plain(function, args, kwargs)
        args = tf.nest.map_structure(tf.convert_to_tensor, list(args))
        first = len(tracer.calls)
        with _reading() as read:
            result, gradient = function(*args)
        results, arguments = tf.nest.flatten(result), tf.nest.flatten(args)
        weights = _weights(tracer, gradient, read, first)
        places = [i for i, x in enumerate(arguments) if x.dtype.is_floating]
        if not places and not weights:  # no gradient goes on from here
            return tf.nest.map_structure(tf.stop_gradient, result)
        name = tracer.free_name("gradient")
        upstream = [
            tracer.alike(Layer("UpstreamGradient", name, {}), tracer.free_name(f"{name}/upstream"), [y])
            for y in results
        ]
        with derivatives.watching(weights):
            said, of_weights = gradient(*upstream, variables=weights) if weights else (gradient(*upstream), [])
        gradients = [
            tf.zeros_like(x) if g is None else g for g, x in zip(tf.nest.flatten(said), arguments, strict=True)
        ]
        of_weights = [tf.zeros_like(w) if g is None else g for g, w in zip(of_weights, weights, strict=True)]
        of = [*(arguments[i] for i in places), *weights]
        listed = [
            tf.cast(tf.convert_to_tensor(g), x.dtype)
            for g, x in zip([*(gradients[i] for i in places), *of_weights], of, strict=True)
        ]
        outputs = [(tuple(y.shape), y.dtype.name) for y in results]
        described = Layer("OwnGradient", name, {"name": name})
        made = tracer.placeholders(described, name, [*results, *upstream, *of, *listed], [], outputs, split=True)
        return tf.nest.pack_sequence_as(result, made)

    return call


def _says_what_is_right(function: Callable[..., Any]) -> bool:
    """TensorFlow's own functions say in another way what their gradient is anyhow, but for grad_pass_through."""
    return str(function.__module__).startswith("tensorflow.") and function.__name__ != "_grad_pass_through_op"


@contextlib.contextmanager
def _reading() -> Iterator[list[keras.Variable]]:
    """The variables that are read while this lasts."""
    read: list[keras.Variable] = []
    plain = keras.StatelessScope.get_current_value

    def get(scope: keras.StatelessScope, variable: keras.Variable) -> Any:
        read.append(variable)
        return plain(scope, variable)

    with mock.patch.object(keras.StatelessScope, "get_current_value", get):
        yield read


def _weights(tracer: Tracer, gradient: Callable[..., Any], read: list[keras.Variable], first: int) -> list[tf.Tensor]:
    """The weights that a gradient is of too, by name as TensorFlow has them: what its function reads and trains.

    first: of the calls of layers that are its.
    """
    parameters = inspect.signature(gradient).parameters.values()
    if not any(one.name == "variables" or one.kind is one.VAR_KEYWORD for one in parameters):
        return []
    taken = [tracer.found.variables[w.path] for call in tracer.calls[first:] for w in call.node.layer.weights.values()]
    trained = {id(v): v for v in [*read, *taken] if v.trainable and id(v) in tracer.values}
    return [tracer.values[id(v)] for v in sorted(trained.values(), key=lambda v: str(v._value.name))]
