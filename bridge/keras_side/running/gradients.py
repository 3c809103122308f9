"""Gradients as TensorFlow has them: the truth that the torch side is held against."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from bridge.keras_side.names import names
from bridge.keras_side.precision import in_float32
from bridge.keras_side.running.double import as_double, unrounded
from bridge.keras_side.running.run import twin_of
from bridge.keras_side.signature import named_outputs, signature


def gradients(
    model: keras.Model, inputs: dict[str, np.ndarray], directions: dict[str, np.ndarray], *, double: bool = False
) -> dict[str, np.ndarray]:
    """The gradient of sum(output * direction) over all outputs for each trained weight, in inference mode.

    By bridge's paths; zeros where the outputs don't depend on a weight. double: in float64, with the exact values.
    """
    if not double:
        return _gradients(model, inputs, directions)
    with unrounded():
        given = [{name: as_double(array) for name, array in arrays.items()} for arrays in (inputs, directions)]
        return _gradients(twin_of(model), *given)


def _gradients(
    model: keras.Model, inputs: dict[str, np.ndarray], directions: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    found = names(model)
    variables = {path: v for path, v in found.variables.items() if v.trainable and not found.weights[id(v)].state}
    expected, arrange = signature(model)
    with in_float32(model), tf.GradientTape() as tape:
        args, kwargs = arrange([tf.convert_to_tensor(inputs[value.name]) for value in expected])
        outputs = named_outputs(model, model(*args, training=False, **kwargs))
        total = sum(tf.reduce_sum(outputs[name] * direction) for name, direction in directions.items())
    results = tape.gradient(total, [v.value for v in variables.values()], unconnected_gradients="zero")
    # those of rows that were looked up come as the rows alone
    return {path: np.asarray(tf.convert_to_tensor(gradient)) for path, gradient in zip(variables, results, strict=True)}
