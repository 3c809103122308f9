"""Convolutions that pad their input as Theano did."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_own = keras.saving.register_keras_serializable(package="bridge")


class _Padded:
    """Before one of Keras's own convolutions, whose padding is then "valid".

    pads: "full", so that every overlap of kernel and input counts, or "half", by half the kernel on both sides, which
    is not Keras's "same" where the kernel's size is even or a stride is more than 1.
    """

    def __init__(self, *args: Any, pads: str = "full", **options: Any):
        super().__init__(*args, **options)
        if pads not in ("full", "half") or options.get("padding", "valid") != "valid":
            raise ValueError(f"pads={pads!r} and padding={options.get('padding')!r} are no way to pad")
        self.pads = pads

    def _pads(self) -> list[tuple[int, int]]:
        spans = [(k - 1) * d for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
        return [(n, n) if self.pads == "full" else ((n + 1) // 2, n - (n + 1) // 2) for n in spans]

    def call(self, x: Any) -> Any:
        first = self.data_format == "channels_first"
        x = ops.pad(ops.moveaxis(x, 1, -1) if first else x, [(0, 0), *self._pads(), (0, 0)])
        y = ops.conv(
            x,
            self.kernel,
            strides=list(self.strides),
            padding="valid",
            dilation_rate=list(self.dilation_rate),
            data_format="channels_last",
        )
        y = y + self.bias if self.use_bias else y
        return self.activation(ops.moveaxis(y, -1, 1) if first else y)

    def compute_output_shape(self, shape: Any) -> Any:
        start = 2 if self.data_format == "channels_first" else 1
        sizes = list(shape)
        for place, (before, after) in enumerate(self._pads(), start):
            sizes[place] = None if sizes[place] is None else sizes[place] + before + after
        return super().compute_output_shape(tuple(sizes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pads": self.pads}


@_own
class PaddedConv1D(_Padded, keras.layers.Conv1D):
    """Over (batch, steps, channels)."""


@_own
class PaddedConv2D(_Padded, keras.layers.Conv2D):
    """Over images."""


@_own
class PaddedConv3D(_Padded, keras.layers.Conv3D):
    """Over volumes."""
