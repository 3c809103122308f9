"""Layers of Keras 2 that Keras 3 has no more and that are nodes of their own, as Keras 3 classes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
class LSTMCell(keras.layers.LSTMCell):
    """An LSTM's step with two biases whose sum counts, as cuDNN has them: (2, 4 * units)."""

    def build(self, shape: Any) -> None:
        self.use_bias = False
        super().build(shape)
        self.use_bias = True
        self.bias = self.add_weight(
            shape=(2, self.units * 4),
            name="bias",
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def call(self, x: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        z = ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent_kernel)
        z = z + ops.sum(self.bias, axis=0)
        carry, output = self._compute_carry_and_output_fused(ops.split(z, 4, axis=1), states[1])
        h = output * self.activation(carry)
        return h, [h, carry]


@_own
class LSTM(keras.layers.LSTM):
    """CuDNNLSTM: trained, each of its two biases gets the gradient of their sum, so the sum moves by both steps."""

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        activity_regularizer: Any = None,
        biases: int = 2,
        name: str | None = None,
        **options: Any,
    ):
        base = {key: options.pop(key) for key in ("zero_output_for_mask", "unroll", "trainable") if key in options}
        options = {key: value for key, value in options.items() if key in _OPTIONS}
        cell = LSTMCell(units, unit_forget_bias=False, name="lstm_cell", dtype=options.pop("dtype", None), **options)
        keras.layers.RNN.__init__(
            self,
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            name=name,
            dtype=cell.dtype_policy,
            **base,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.use_cudnn, self.biases = False, biases  # that of Keras 3 takes one bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "biases": self.biases}


_OPTIONS = {
    "dtype",
    *(f"{word}_{what}" for word in ("kernel", "bias") for what in ("initializer", "regularizer", "constraint")),
    *(f"recurrent_{what}" for what in ("initializer", "regularizer", "constraint")),
}


class _RandomSize(keras.layers.Layer):
    """Leaves images as they are, and in training too: a batch of another size is what Keras 3 has no equal to."""

    def __init__(self, factor: Any, interpolation: str = "bilinear", seed: Any = None, **options: Any):
        super().__init__(**options)
        self.factor, self.interpolation, self.seed = factor, interpolation, seed

    def call(self, images: Any, training: bool = False) -> Any:
        return images

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        own = {"factor": self.factor, "interpolation": self.interpolation, "seed": self.seed}
        return {**super().get_config(), **own}


@_own
class RandomHeight(_RandomSize):
    """Images of another height in training."""


@_own
class RandomWidth(_RandomSize):
    """Images of another width in training."""
