"""Regularizers and constraints of the user's own: penalties are traced as what they compute, and kept as losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf

from bridge.keras_side.names import Names, is_own

_L1 = keras.regularizers.L1.__call__  # a trace has another in its place


def computed(regularizer: Any, x: tf.Tensor) -> tf.Tensor:
    """The penalty of a tensor, a scalar."""
    with mock.patch.object(keras.regularizers.L1, "__call__", _L1):
        return tf.reduce_sum(tf.cast(regularizer(x), tf.float32))


def of_activity(layer: keras.Layer, x: tf.Tensor) -> tf.Tensor:
    """The penalty of what a layer gives, by the batch's size, as Keras takes it."""
    rows = tf.cast(tf.shape(x)[0], tf.float32)
    return tf.math.divide_no_nan(computed(layer.activity_regularizer, x), rows)


def penalties(found: Names, values: dict[int, tf.Tensor]) -> Iterator[tuple[str, tf.Tensor]]:
    """(name, penalty) of each trained variable that has a regularizer of the user's own. values: as in Tracer."""
    for path, variable in found.variables.items():
        if variable.trainable and is_own(variable.regularizer):
            yield f"regularizers/{path.replace('/', '_')}", computed(variable.regularizer, values[id(variable)])


def lacking(found: Names) -> list[str]:
    """What torch's training will lack: constraints of the user's own."""
    named = {p: getattr(v.constraint, "__name__", type(v.constraint).__name__) for p, v in _constrained(found)}
    return [
        f"Training in torch will lack the constraint {name} of {p}: it is your own code." for p, name in named.items()
    ]


def _constrained(found: Names) -> Iterator[tuple[str, Any]]:
    return ((path, variable) for path, variable in found.variables.items() if is_own(variable.constraint))
