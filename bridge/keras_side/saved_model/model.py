"""A signature of a SavedModel's program as a Keras model: its variables are weights, its call runs the operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import stored
from bridge.keras_side import examples
from bridge.keras_side.saved_model import double

FAILURES = (tf.errors.OpError, ValueError, TypeError, KeyError, RuntimeError, NotImplementedError)


class Operators(keras.Model):
    """What a signature computes. Takes and gives dicts of tensors by the signature's names."""

    def __init__(self, name: str, program: Traced):
        super().__init__(name=name, autocast=False)
        self.program = program
        self.places: list[keras.Layer] = []
        self.built = True

    def add(self, path: str, variable: keras.Variable) -> None:
        """Makes it a weight that is called by its path: the words before the last are layers within layers."""
        self.program.variables[path] = variable
        owner: Operators | Variables = self
        *places, _ = path.split("/")
        for word in places:
            inner = next((layer for layer in owner.places if layer.name == word), None)
            if inner is None:
                inner = Variables(word)
                owner.places.append(inner)
            owner = inner
        owner._track_variable(variable)

    def in_double(self, lend: bool = False) -> Operators:
        """The same in float64. Raises BridgeError where TensorFlow has no such operators.

        lend: the large weights are this model's own, in float32; only for inference.
        """
        variables = self.program.variables
        lent = [n for n, v in enumerate(variables.values()) if lend and v.dtype == "float32" and _large(v)]
        inputs = {word: tf.TensorSpec(s.shape, _wide(s.dtype), name=word) for word, s in self.program.inputs.items()}
        try:
            function = double.in_double(self.program.function, [len(inputs) + number for number in lent])
            twin = Operators(self.name, Traced(function, inputs, self.program.outputs))
        except FAILURES as error:
            raise BridgeError(f"{self.name}: TensorFlow can't compute it in float64: {str(error)[:200]}") from None
        for number, (path, variable) in enumerate(variables.items()):
            if number in lent:
                twin.add(path, variable)
                continue
            values = np.asarray(variable)
            values = values.astype(np.float64) if values.dtype == np.float32 else values
            twin.add(
                path, keras.Variable(values, dtype=values.dtype.name, trainable=variable.trainable, name=variable.name)
            )
        twin.say_inputs()
        return twin

    def say_inputs(self) -> None:
        """Lets the rest of bridge know what the model takes, as if it had been called once."""
        specs = {w: keras.KerasTensor((None, *s.shape[1:]), dtype=s.dtype.name) for w, s in self.program.inputs.items()}
        examples.remember(self, {"inputs": specs})

    def call(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.program(inputs)


def _large(variable: keras.Variable) -> bool:
    return 4 * math.prod(variable.shape) > stored.LARGE


class Variables(keras.Layer):
    """A place in the names of variables."""

    def __init__(self, name: str):
        super().__init__(name=name)
        self.places: list[keras.Layer] = []
        self.built = True

    @property
    def own(self) -> list[keras.Variable]:
        """The variables at this place, not those further in."""
        return [*self._trainable_variables, *self._non_trainable_variables]


@dataclass
class Traced:
    """The function of tensors that a signature is. It takes the inputs, then the variables' values.

    inputs, outputs: the signature's names with what each is. own_gradients: how many of its operators had a gradient of
    their own. variables: by path, filled by the model.
    """

    function: Callable[..., list[tf.Tensor]]
    inputs: dict[str, tf.TensorSpec]
    outputs: dict[str, tf.TensorShape]
    own_gradients: int = 0
    variables: dict[str, keras.Variable] = field(default_factory=dict)

    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        given = [tf.cast(inputs[word], spec.dtype) for word, spec in self.inputs.items()]
        values = [tf.convert_to_tensor(variable.value) for variable in self.variables.values()]
        found = self.function(*given, *values)
        return {word: _shaped(t, shape) for t, (word, shape) in zip(found, self.outputs.items(), strict=True)}


def _shaped(tensor: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    return tf.ensure_shape(tensor, shape) if not tf.executing_eagerly() and shape.rank is not None else tensor


def _wide(dtype: tf.DType) -> tf.DType:
    return tf.float64 if dtype == tf.float32 else dtype
