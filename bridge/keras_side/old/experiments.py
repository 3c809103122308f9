"""Layers that left Keras with version 2.0: maxout, highway, and activations with weights of their own."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bridge.keras_side.old.with_kernel import WithKernel

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
class MaxoutDense(WithKernel):
    """The largest of several dense layers' outputs: kernel (features, inputs, units), bias (features, units)."""

    def __init__(self, units: int, nb_feature: int = 4, **options: Any):
        super().__init__(**options)
        self.units, self.nb_feature = units, nb_feature
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, shape: Any) -> None:
        self.kernel = self.weight("kernel", (self.nb_feature, shape[-1], self.units))
        if self.use_bias:
            self.bias = self.weight("bias", (self.nb_feature, self.units))
        self.built = True

    def call(self, x: Any) -> Any:
        y = ops.einsum("bi,fio->bfo", x, self.kernel)
        return ops.max(y + self.bias if self.use_bias else y, axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "nb_feature": self.nb_feature}


@_own
class Highway(WithKernel):
    """A dense layer and its input, weighed by a gate: t * f(x) + (1 - t) * x."""

    def __init__(self, activation: Any = None, **options: Any):
        super().__init__(**options)
        self.activation = keras.activations.get(activation)
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, shape: Any) -> None:
        size = shape[-1]
        self.kernel = self.weight("kernel", (size, size))
        self.carry_kernel = self.add_weight(
            name="carry_kernel", shape=(size, size), initializer=self.kernel_initializer
        )
        if self.use_bias:
            self.bias = self.weight("bias", (size,))
            self.carry_bias = self.add_weight(name="carry_bias", shape=(size,), initializer="ones")
        self.built = True

    def call(self, x: Any) -> Any:
        gate, y = ops.matmul(x, self.carry_kernel), ops.matmul(x, self.kernel)
        if self.use_bias:
            gate, y = gate + self.carry_bias, y + self.bias
        gate = ops.sigmoid(gate)
        return self.activation(y) * gate + (1.0 - gate) * x

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


class _Elementwise(keras.layers.Layer):
    """An activation with weights for each place of its input. begin: their names, and what they begin with."""

    def __init__(self, begin: dict[str, Any], **options: Any):
        super().__init__(**options)
        self.begin = begin
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        for word, value in self.begin.items():
            begin = value if isinstance(value, str) else keras.initializers.Constant(value)
            setattr(self, word, self.add_weight(name=word, shape=tuple(shape[1:]), initializer=begin))
        self.built = True

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{f"{word}_init": value for word, value in self.begin.items()}}


@_own
class SReLU(_Elementwise):
    """x in the middle, and lines of other slopes left of t_left and right of t_left + |t_right|."""

    def __init__(
        self,
        t_left_init: str = "zeros",
        a_left_init: str = "glorot_uniform",
        t_right_init: str = "glorot_uniform",
        a_right_init: str = "ones",
        **options: Any,
    ):
        begin = {"t_left": t_left_init, "a_left": a_left_init, "t_right": t_right_init, "a_right": a_right_init}
        super().__init__(begin, **options)

    def call(self, x: Any) -> Any:
        right = self.t_left + ops.abs(self.t_right)
        middle = ops.minimum(ops.relu(x - self.t_left), right - self.t_left) - self.a_left * ops.relu(self.t_left - x)
        return self.t_left + middle + self.a_right * ops.relu(x - right)


@_own
class ParametricSoftplus(_Elementwise):
    """alpha * log(1 + exp(beta * x))."""

    def __init__(self, alpha_init: float = 0.2, beta_init: float = 5.0, **options: Any):
        super().__init__({"alpha": alpha_init, "beta": beta_init}, **options)

    def call(self, x: Any) -> Any:
        return self.alpha * ops.softplus(self.beta * x)


@_own
class DroppingEmbedding(keras.layers.Embedding):
    """Keras 1's dropout of an Embedding: in training, words are zero wherever they come, each by this chance."""

    def __init__(self, input_dim: int, output_dim: int, dropout: float = 0.0, **options: Any):
        super().__init__(input_dim, output_dim, **options)
        self.dropout = dropout

    def call(self, words: Any, training: bool = False) -> Any:
        table = ops.convert_to_tensor(self.embeddings)
        if training:
            kept = ops.cast(keras.random.uniform((self.input_dim, 1)) >= self.dropout, table.dtype)
            table = table * kept / (1.0 - self.dropout)
        return ops.take(table, ops.cast(words, "int32"), axis=0)

    def compute_output_spec(self, words: Any, training: bool = False) -> Any:
        return super().compute_output_spec(words)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout}
