"""What Keras 1 and 2 had and Keras 3 has not, as Keras 3 classes: the old maths, the weights in their old layout.

A .keras file with one of them needs `import bridge.keras_side.old_layers` to be loaded by Keras itself.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import ops

from bridge.keras_side.old_operations import TensorFlowOpLayer, TFOpLambda

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


class LocallyConnected(keras.layers.Layer):
    """A convolution with a kernel of its own for each place: (places, size of a patch, filters)."""

    rank = 0

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.filters = filters
        self.kernel_size, self.strides = self._sizes(kernel_size), self._sizes(strides)
        if padding != "valid":
            raise ValueError(f"padding={padding!r}: a locally connected layer has no other than 'valid'")
        self.padding, self.use_bias = padding, use_bias
        self.data_format = data_format or "channels_last"
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def _sizes(self, value: Any) -> tuple[int, ...]:
        return (int(value),) * self.rank if isinstance(value, int) else tuple(map(int, value))

    def _places(self, shape: Any) -> tuple[int, ...]:
        sizes = shape[2:] if self.data_format == "channels_first" else shape[1:-1]
        if None in sizes:
            raise ValueError("a locally connected layer needs the size of its input, which is open")
        return tuple((n - k) // step + 1 for n, k, step in zip(sizes, self.kernel_size, self.strides, strict=True))

    def build(self, shape: Any) -> None:
        places = self._places(shape)
        channels = shape[1 if self.data_format == "channels_first" else -1]
        count, patch = functools.reduce(int.__mul__, places), functools.reduce(int.__mul__, self.kernel_size) * channels
        self.kernel = self.add_weight(
            name="kernel",
            shape=(count, patch, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(*places, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def call(self, x: Any) -> Any:
        first = self.data_format == "channels_first"
        places = self._places(x.shape)
        patches = self._patches(x, places)  # (batch, places, size of a patch)
        y = ops.einsum("bpk,pkf->bpf", patches, self.kernel)
        y = ops.reshape(y, (-1, *places, self.filters))
        if self.use_bias:
            y = y + self.bias
        if first:
            y = ops.moveaxis(y, -1, 1)
        return self.activation(y)

    def _patches(self, x: Any, places: tuple[int, ...]) -> Any:
        raise NotImplementedError

    def compute_output_shape(self, shape: Any) -> Any:
        places = self._places(shape)
        first = self.data_format == "channels_first"
        return (shape[0], self.filters, *places) if first else (shape[0], *places, self.filters)

    def get_config(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
        for word in ("kernel", "bias"):
            for what, module in (
                ("initializer", keras.initializers),
                ("regularizer", keras.regularizers),
                ("constraint", keras.constraints),
            ):
                options[f"{word}_{what}"] = module.serialize(getattr(self, f"{word}_{what}"))
        return {**super().get_config(), **options}


@_own
class LocallyConnected1D(LocallyConnected):
    """Over (batch, steps, channels); a patch is its steps' channels, step by step."""

    rank = 1

    def _patches(self, x: Any, places: tuple[int, ...]) -> Any:
        first = self.data_format == "channels_first"
        (size,), (step,), channels = self.kernel_size, self.strides, x.shape[1 if first else -1]
        rows = [i * step + j for i in range(places[0]) for j in range(size)]
        taken = ops.take(x, rows, axis=2 if first else 1)
        if first:  # the channels come first in a patch too
            taken = ops.transpose(ops.reshape(taken, (-1, channels, places[0], size)), (0, 2, 1, 3))
        return ops.reshape(taken, (-1, places[0], size * channels))


@_own
class LocallyConnected2D(LocallyConnected):
    """Over images; a patch is its pixels' channels, row by row; of channels_first its channels' pixels too."""

    rank = 2

    def _patches(self, x: Any, places: tuple[int, ...]) -> Any:
        first = self.data_format == "channels_first"
        if first:
            x = ops.moveaxis(x, 1, -1)
        (high, wide), (down, across), channels = self.kernel_size, self.strides, x.shape[-1]
        rows = [i * down + k for i in range(places[0]) for k in range(high)]
        columns = [j * across + k for j in range(places[1]) for k in range(wide)]
        taken = ops.take(ops.take(x, rows, axis=1), columns, axis=2)
        taken = ops.reshape(taken, (-1, places[0], high, places[1], wide, channels))
        taken = ops.transpose(taken, (0, 1, 3, 5, 2, 4) if first else (0, 1, 3, 2, 4, 5))
        return ops.reshape(taken, (-1, places[0] * places[1], high * wide * channels))


OWN = {
    kind.__name__: kind
    for kind in (ThresholdedReLU, LocallyConnected1D, LocallyConnected2D, TFOpLambda, TensorFlowOpLayer)
}
