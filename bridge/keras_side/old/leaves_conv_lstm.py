"""The convolutional LSTM as Keras computed it on Theano: a node of its own, as a Keras 3 class."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.src.layers.rnn import conv_lstm

from bridge.graph.bodies.space import pads_of

_AROUND = (
    *("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"),
    *("activity_regularizer", "name", "trainable"),
)


class ConvLSTMCell(conv_lstm.ConvLSTMCell):
    """A step whose convolutions pad by half their kernel before; that of the state does so whatever `padding` says."""

    def input_conv(self, x: Any, w: Any, b: Any = None, padding: str = "valid") -> Any:
        how = {"strides": tuple(self.strides), "dilation_rate": tuple(self.dilation_rate)}
        return self._convolved(x, w, b, "half" if padding == "same" else "none", **how)

    def recurrent_conv(self, x: Any, w: Any) -> Any:
        return self._convolved(x, w, None, "half", strides=(1,) * self.rank, dilation_rate=(1,) * self.rank)

    def _convolved(self, x: Any, w: Any, b: Any, pads: str, **how: Any) -> Any:
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, how["dilation_rate"], strict=True)]
        first = self.data_format == "channels_first"
        x = ops.pad(ops.moveaxis(x, 1, -1) if first else x, [(0, 0), *(pads_of(pads, span) for span in spans), (0, 0)])
        y = ops.conv(x, w, padding="valid", data_format="channels_last", **how)
        y = y if b is None else y + b
        return ops.moveaxis(y, -1, 1) if first else y


@keras.saving.register_keras_serializable(package="bridge")
class ConvLSTM2D(keras.layers.ConvLSTM2D):
    """Over sequences of images."""

    def __init__(self, filters: int, kernel_size: Any, pads: str = "half", **options: Any):
        if pads != "half":
            raise ValueError(f"pads={pads!r} is no way to pad")
        around = {key: options.pop(key) for key in _AROUND if key in options}
        cell = ConvLSTMCell(2, filters, kernel_size, name="conv_lstm_cell", **options)
        keras.layers.RNN.__init__(self, cell, dtype=cell.dtype_policy, **around)
        self.input_spec = keras.layers.InputSpec(ndim=5)
        self.pads = pads

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pads": self.pads}
