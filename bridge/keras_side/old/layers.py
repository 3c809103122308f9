"""What Keras 1 and 2 had and Keras 3 has not, as Keras 3 classes: the old maths, the weights in their old layout.

A .keras file with one of them needs `import bridge.keras_side.old.layers` to be loaded by Keras itself.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bridge.keras_side.old.experiments import DroppingEmbedding, Highway, MaxoutDense, ParametricSoftplus, SReLU
from bridge.keras_side.old.leaves import LSTM, RandomHeight, RandomWidth
from bridge.keras_side.old.leaves_conv_lstm import ConvLSTM2D
from bridge.keras_side.old.leaves_convolution import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from bridge.keras_side.old.locally_connected import LocallyConnected1D, LocallyConnected2D
from bridge.keras_side.old.masks import WithoutMask
from bridge.keras_side.old.normalization import (
    BatchStatistics,
    DeviationNormalization,
    RootNormalization,
    SampleNormalization,
)
from bridge.keras_side.old.operations import TensorFlowOpLayer, TFOpLambda
from bridge.keras_side.old.pooling import PaddedPooling
from bridge.keras_side.old.time_major import TimeMajor

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
def hard_sigmoid_of_keras2(x: Any) -> Any:
    """0.2x + 0.5, between 0 and 1."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@_own
class ThresholdedReLU(keras.layers.Layer):
    """x above theta, else 0."""

    def __init__(self, theta: float = 1.0, **options: Any):
        super().__init__(**options)
        self.theta = float(theta)
        self.supports_masking = True
        self.built = True

    def call(self, x: Any) -> Any:
        return x * ops.cast(ops.greater(x, self.theta), x.dtype)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}


OWN = {
    kind.__name__: kind
    for kind in (
        *(ThresholdedReLU, LocallyConnected1D, LocallyConnected2D, TFOpLambda, TensorFlowOpLayer),
        *(Highway, MaxoutDense, ParametricSoftplus, SReLU, BatchStatistics, SampleNormalization),
        *(Conv1D, Conv2D, Conv3D, Conv2DTranspose, Conv3DTranspose, DepthwiseConv2D, SeparableConv1D, SeparableConv2D),
        *(ConvLSTM2D, LSTM, TimeMajor, RandomHeight, RandomWidth, WithoutMask),
        *(PaddedPooling, DeviationNormalization, RootNormalization, DroppingEmbedding),
    )
}
