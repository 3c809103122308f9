"""What Keras 1's BatchNormalization had besides: over each sample, by the batch at hand always, by deviations."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_own = keras.saving.register_keras_serializable(package="bridge")


class _Normalization(keras.layers.Layer):
    """gamma and beta along an axis; moving statistics, which some keep for the file's sake alone."""

    spread = "moving_variance"

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
        self.moving_spread = self.add_weight(name=self.spread, shape=size, initializer="ones", trainable=False)
        self.built = True

    def along(self, x: Any, *values: Any) -> list[Any]:
        """Values along the axis, to compute with x."""
        wide = [1] * len(x.shape)
        wide[self.axis] = -1
        return [ops.reshape(value, wide) for value in values]

    def statistics(self, x: Any) -> tuple[Any, Any]:
        """Mean and variance of the batch along the axis."""
        others = [i for i in range(len(x.shape)) if i != self.axis % len(x.shape)]
        mean = ops.mean(x, axis=others)
        return mean, ops.mean(ops.square(x - self.along(x, mean)[0]), axis=others)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {"axis": self.axis, "epsilon": self.epsilon, "momentum": self.momentum}
        for word in ("gamma_regularizer", "beta_regularizer"):
            own[word] = keras.regularizers.serialize(getattr(self, word))
        return {**super().get_config(), **own}


@_own
class SampleNormalization(_Normalization):
    """Mode 1: by the mean and deviation of each sample's last axis. twice: epsilon counts for the variance too."""

    def __init__(self, twice: bool = True, **options: Any):
        super().__init__(**options)
        self.twice = twice

    def call(self, x: Any) -> Any:
        mean = ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
        deviation = ops.sqrt(variance + self.epsilon if self.twice else variance)
        return self.gamma * ((x - mean) / (deviation + self.epsilon)) + self.beta

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "twice": self.twice}


@_own
class BatchStatistics(_Normalization):
    """Mode 2: by the statistics of the batch, in inference as in training."""

    def call(self, x: Any) -> Any:
        mean, variance, gamma, beta = self.along(x, *self.statistics(x), self.gamma, self.beta)
        return (x - mean) * (gamma / ops.sqrt(variance + self.epsilon)) + beta


@_own
class RootNormalization(_Normalization):
    """Of Keras 1.0.7 on Theano: epsilon is added to the root of the variance."""

    def __init__(self, by_batch: bool = False, **options: Any):
        super().__init__(**options)
        self.by_batch = by_batch  # mode 2: in inference too

    def call(self, x: Any, training: bool = False) -> Any:
        mean, spread = self.moving_mean, self.moving_spread
        if training or self.by_batch:
            mean, spread = self.told(x)
        if training and not self.by_batch:
            for moving, value in ((self.moving_mean, mean), (self.moving_spread, spread)):
                moving.assign(self.momentum * moving + (1 - self.momentum) * value)
        mean, deviation, gamma, beta = self.along(x, mean, self.deviation(spread), self.gamma, self.beta)
        return (x - mean) * (gamma / (deviation + self.epsilon)) + beta

    def told(self, x: Any) -> tuple[Any, Any]:
        """Of a batch, what the moving statistics keep."""
        return self.statistics(x)

    def deviation(self, spread: Any) -> Any:
        return ops.sqrt(spread)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "by_batch": self.by_batch}


@_own
class DeviationNormalization(RootNormalization):
    """Of Keras before 1.0.6, and of 1.0.6 on Theano: it keeps deviations, and epsilon counts there too."""

    spread = "moving_deviation"

    def told(self, x: Any) -> tuple[Any, Any]:
        mean, variance = self.statistics(x)
        return mean, ops.sqrt(variance + self.epsilon)

    def deviation(self, spread: Any) -> Any:
        return spread
