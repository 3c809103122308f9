"""Where a mask of Keras 2 ended that goes on in Keras 3."""

from __future__ import annotations

from typing import Any

import keras

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
class WithoutMask(keras.layers.Layer):
    """Its input, without a mask: before Keras 2.10 a MultiHeadAttention saw none and passed none on."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.supports_masking = True  # it takes one, so that Keras does not warn
        self.built = True

    def call(self, x: Any) -> Any:
        return keras.ops.copy(x)

    def compute_mask(self, _: Any, previous_mask: Any = None) -> None:
        return None

    def compute_output_shape(self, shape: Any) -> Any:
        return shape
