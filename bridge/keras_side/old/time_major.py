"""Recurrent layers whose input has its steps before its batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
class TimeMajor(keras.layers.Layer):
    """A recurrent layer of Keras 3 on sequences (steps, batch, features); what it gives has its steps in front too."""

    def __init__(self, layer: Any, **options: Any):
        super().__init__(**options)
        self.layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
        self.supports_masking = True

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(self._turned(sequences_shape))
        self.built = True

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        options = {"initial_state": initial_state} if initial_state else {}
        if mask is not None:
            options["mask"] = ops.transpose(mask[0] if isinstance(mask, list) else mask)
        found = self.layer(ops.swapaxes(sequences, 0, 1), training=training, **options)
        listed = list(found) if isinstance(found, list | tuple) else [found]
        if self.layer.return_sequences:
            for number in range(self._sequences()):
                listed[number] = ops.swapaxes(listed[number], 0, 1)
        return listed if len(listed) > 1 else listed[0]

    def _sequences(self) -> int:
        """How many of its results are sequences."""
        return 2 if getattr(self.layer, "merge_mode", "concat") is None else 1

    @staticmethod
    def _turned(shape: Any) -> tuple[Any, ...]:
        return (shape[1], shape[0], *shape[2:])

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        found = self.layer.compute_output_shape(self._turned(sequences_shape))
        listed = list(found) if isinstance(found, list) or (found and isinstance(found[0], tuple)) else [found]
        if self.layer.return_sequences:
            listed[: self._sequences()] = [self._turned(shape) for shape in listed[: self._sequences()]]
        return listed if len(listed) > 1 else listed[0]

    def compute_mask(self, _: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, list) else mask
        return mask if self.layer.return_sequences else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}
