"""Losses beside the model's own, as nodes: penalties on activities, those of the user's own code, `add_loss`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from bridge.graph import Layer
from bridge.keras_side.tracing import own_penalties
from bridge.keras_side.tracing.layer_facts import plain

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer

_KERAS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def penalized_by_node(layer: keras.Layer) -> bool:
    """Whether the layer has an activity regularizer of Keras's own, which is a node."""
    return type(layer.activity_regularizer) in _KERAS


def penalized(tracer: Tracer, layer: keras.Layer, path: str, x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """x, whose penalty by the layer's activity regularizer is a loss."""
    config = plain(keras.regularizers.serialize(layer.activity_regularizer))
    more, told = tracer.steps.described({"name": layer.name, "regularizer": config})
    name = name or tracer.free_name(f"{path}/penalized")
    return tracer.alike(Layer("ActivityRegularization", path, told), name, [x, *more])


def with_own_penalty(tracer: Tracer, operation: Any, result: Any) -> Any:
    """What a layer gives, with the penalty on it of an activity regularizer of the user's own."""
    if not isinstance(operation, keras.Layer) or operation.activity_regularizer is None:
        return result
    if penalized_by_node(operation):
        return result
    if tracer.steps.told()[0]:
        described = tracer.scopes.described(operation)
        tracer.problems.append(f"{described}: its activity regularizer takes all steps at once")
    path = tracer.scopes.path(operation) or operation.name
    return keras.tree.map_structure(
        lambda t: with_loss(tracer, operation, path, t, own_penalties.of_activity(operation, t)), result
    )


def with_penalties(tracer: Tracer, x: tf.Tensor) -> tf.Tensor:
    """An input of the model, with the penalties on weights that are the user's own code: they depend on none."""
    for name, loss in own_penalties.penalties(tracer.found, tracer.values):
        x = tracer.alike(Layer("AddedLoss", name, {"name": name}), tracer.free_name(name), [x, loss])
    return x


def with_loss(tracer: Tracer, layer: keras.Layer, path: str, x: tf.Tensor, loss: tf.Tensor) -> tf.Tensor:
    """x, with a loss that the layer adds."""
    described = Layer("AddedLoss", path, {"name": layer.name})
    return tracer.alike(described, tracer.free_name(f"{path}/loss"), [x, loss])
