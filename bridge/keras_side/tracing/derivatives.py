"""Derivatives that a model's own code asks for (`GradientTape` in a `call`): of layers as what they compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import ops

from bridge.keras_side.tracing.nodes import placeholder_number

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer

_REASON = "the model's own code asks for the gradient of what it gives, which is known of operators alone"


def recorded() -> bool:
    """Whether a GradientTape records what is traced now."""
    return bool(record.could_possibly_record())


@contextlib.contextmanager
def guarded(tracer: Tracer) -> Iterator[None]:
    """A gradient through a node that stands for a layer is a problem, where TensorFlow takes it for none."""

    def through(operator: Any, *upstream: Any) -> list[Any]:
        number = placeholder_number(operator.outputs[0].op.name)
        node = tracer.calls[number].node if number is not None else None
        if node is None or node.kind not in ("StopGradient", "UpstreamGradient"):
            owner = tracer.scopes.owner(operator.outputs[0].op.name)
            tracer.problems.append(f"{node.name if node is not None else owner}: {_REASON}")
            return [tf.zeros_like(x) if x.dtype.is_floating else None for x in operator.inputs]
        return [None] * len(operator.inputs)

    known = ops.gradient_registry._registry
    before = {kind: known[kind] for kind in ("PyFunc", "PyFuncStateless")}
    known.update({kind: {**entry, "type": through} for kind, entry in before.items()})
    try:
        yield
    finally:
        known.update(before)  # these alone: others were registered meanwhile


@contextlib.contextmanager
def watching(weights: list[tf.Tensor]) -> Iterator[None]:
    """Each GradientTape that begins watches these tensors, as it does with the variables that they stand for."""
    plain = tf.GradientTape.__enter__

    def enter(tape: tf.GradientTape) -> tf.GradientTape:
        plain(tape)
        if tape._watch_accessed_variables:
            tape.watch(weights)
        return tape

    with mock.patch.object(tf.GradientTape, "__enter__", enter):
        yield
