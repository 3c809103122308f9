"""Poolings that pad their input as Theano did."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
class PaddedPooling(keras.layers.Layer):
    """The largest or the mean of each window that lies in the padded input; what is padded counts in none.

    Both sides get as much as Keras had Theano pad: for a window of 2 one, of 3 one, of 4 three, of 5 three. What comes
    out is as long as with Keras's "same", but its windows lie elsewhere.
    average: the mean. counted: of the padded zeros too. cropped: to the length of "same".
    """

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        average: bool = False,
        counted: bool = False,
        cropped: bool = True,
        data_format: str = "channels_last",
        **options: Any,
    ):
        super().__init__(**options)
        self.pool_size = (pool_size,) if isinstance(pool_size, int) else tuple(pool_size)
        strides = self.pool_size if strides is None else strides
        self.strides = (strides,) * len(self.pool_size) if isinstance(strides, int) else tuple(strides)
        self.average, self.counted, self.cropped, self.data_format = average, counted, cropped, data_format
        self.input_spec = keras.layers.InputSpec(ndim=len(self.pool_size) + 2)
        self.built = True

    def call(self, x: Any) -> Any:
        first = self.data_format == "channels_first"
        x = ops.moveaxis(x, 1, -1) if first else x
        y = self._mean(x) if self.average else self._pooled(ops.max_pool, x, -float("inf"))
        if self.cropped:
            lengths = [(size + step - 1) // step for size, step in zip(ops.shape(x)[1:-1], self.strides, strict=True)]
            y = y[(slice(None), *(slice(0, length) for length in lengths), slice(None))]
        return ops.moveaxis(y, -1, 1) if first else y

    def _mean(self, x: Any) -> Any:
        """Each window's sum by how much of the input is in it; the windows' own size falls out."""
        if self.counted:
            return self._pooled(ops.average_pool, x, 0.0)
        inside = ops.ones_like(x[:1, ..., :1])
        return self._pooled(ops.average_pool, x, 0.0) / self._pooled(ops.average_pool, inside, 0.0)

    def _pooled(self, pool: Any, x: Any, value: float) -> Any:
        x = ops.pad(x, [(0, 0), *((side, side) for side in self._sides()), (0, 0)], constant_values=value)
        return pool(x, self.pool_size, self.strides, padding="valid", data_format="channels_last")

    def _sides(self) -> list[int]:
        return [size - 2 if size > 2 and size % 2 else size - 1 for size in self.pool_size]

    def compute_output_shape(self, shape: Any) -> Any:
        start = 2 if self.data_format == "channels_first" else 1
        sizes = list(shape)
        for place, (step, side, size) in enumerate(
            zip(self.strides, self._sides(), self.pool_size, strict=True), start
        ):
            if sizes[place] is not None:
                whole = (sizes[place] + 2 * side - size) // step + 1
                sizes[place] = -(-sizes[place] // step) if self.cropped else whole
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        own = {"pool_size": list(self.pool_size), "strides": list(self.strides), "average": self.average}
        own |= {"counted": self.counted, "cropped": self.cropped}
        return {**super().get_config(), **own, "data_format": self.data_format}
