"""The modes 1 and 2 that Keras 1's BatchNormalization had: over each sample, and by the batch at hand always."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_own = keras.saving.register_keras_serializable(package="bridge")


class _Normalization(keras.layers.Layer):
    """gamma and beta along an axis; the moving statistics are kept for the file's sake, nothing uses them."""

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        gamma_regularizer: Any = None,
        beta_regularizer: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.axis, self.epsilon, self.momentum = axis, epsilon, momentum
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        size = (shape[self.axis],)
        self.gamma = self.add_weight(name="gamma", shape=size, initializer="ones", regularizer=self.gamma_regularizer)
        self.beta = self.add_weight(name="beta", shape=size, initializer="zeros", regularizer=self.beta_regularizer)
        self.moving_mean = self.add_weight(name="moving_mean", shape=size, initializer="zeros", trainable=False)
        self.moving_variance = self.add_weight(name="moving_variance", shape=size, initializer="ones", trainable=False)
        self.built = True

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {"axis": self.axis, "epsilon": self.epsilon, "momentum": self.momentum}
        for word in ("gamma_regularizer", "beta_regularizer"):
            own[word] = keras.regularizers.serialize(getattr(self, word))
        return {**super().get_config(), **own}


@_own
class SampleNormalization(_Normalization):
    """Mode 1: by the mean and deviation of each sample's last axis; epsilon counts twice."""

    def call(self, x: Any) -> Any:
        mean = ops.mean(x, axis=-1, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(x - mean), axis=-1, keepdims=True) + self.epsilon)
        return self.gamma * ((x - mean) / (deviation + self.epsilon)) + self.beta


@_own
class BatchStatistics(_Normalization):
    """Mode 2: by the statistics of the batch, in inference as in training."""

    def call(self, x: Any) -> Any:
        rank = len(x.shape)
        axis = self.axis % rank
        others = [i for i in range(rank) if i != axis]
        wide = [-1 if i == axis else 1 for i in range(rank)]
        mean = ops.mean(x, axis=others, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=others, keepdims=True)
        scale = ops.reshape(self.gamma, wide) / ops.sqrt(variance + self.epsilon)
        return (x - mean) * scale + ops.reshape(self.beta, wide)
