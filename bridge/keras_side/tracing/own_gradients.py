"""Gradients that a model's own code says by `custom_gradient`: traced as what they compute, and a node has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from bridge.graph import Layer

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer

_BY_WEIGHTS = "its own code says what the gradients of weights are (custom_gradient with variables)"


def decorated(tracer: Tracer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """What TensorFlow's custom_gradient does with a function in a graph, its gradient as nodes."""

    def call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if kwargs or _says_what_is_right(function):
            return plain(function, args, kwargs)
        args = tf.nest.map_structure(tf.convert_to_tensor, list(args))
        result, gradient = function(*args)
        results, arguments = tf.nest.flatten(result), tf.nest.flatten(args)
        if _takes_variables(gradient, tracer, results, arguments):
            tracer.problems.append(f"{tracer.scopes.owner(results[0].op.name) or 'its code'}: {_BY_WEIGHTS}")
            return result
        places = [i for i, x in enumerate(arguments) if x.dtype.is_floating]
        if not places:  # no gradient goes on from here
            return tf.nest.map_structure(tf.stop_gradient, result)
        name = tracer.free_name("gradient")
        upstream = [
            tracer.alike(Layer("UpstreamGradient", name, {}), tracer.free_name(f"{name}/upstream"), [y])
            for y in results
        ]
        said = tf.nest.flatten(gradient(*upstream))
        gradients = [tf.zeros_like(x) if g is None else g for g, x in zip(said, arguments, strict=True)]
        listed = [*([arguments[i] for i in places]), *(tf.cast(gradients[i], arguments[i].dtype) for i in places)]
        outputs = [(tuple(y.shape), y.dtype.name) for y in results]
        described = Layer("OwnGradient", name, {"name": name})
        made = tracer.placeholders(described, name, [*results, *upstream, *listed], [], outputs, split=True)
        return tf.nest.pack_sequence_as(result, made)

    return call


def _says_what_is_right(function: Callable[..., Any]) -> bool:
    """TensorFlow's own functions say in another way what their gradient is anyhow, but for grad_pass_through."""
    return str(function.__module__).startswith("tensorflow.") and function.__name__ != "_grad_pass_through_op"


def _takes_variables(gradient: Callable[..., Any], tracer: Tracer, results: list[Any], arguments: list[Any]) -> bool:
    """Whether a gradient is of weights too that its function uses, which are then an argument of it."""
    parameters = inspect.signature(gradient).parameters.values()
    if not any(one.name == "variables" or one.kind is one.VAR_KEYWORD for one in parameters):
        return False
    weights, ends = {value.name for value in tracer.values.values()}, {x.name for x in arguments}
    waiting, seen = [*results], set()
    while waiting:
        tensor = waiting.pop()
        if tensor.name in weights:
            return True
        if tensor.name not in seen | ends:
            seen.add(tensor.name)
            waiting += tensor.op.inputs
    return False
