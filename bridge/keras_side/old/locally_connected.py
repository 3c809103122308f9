"""Locally connected layers: convolutions with a kernel of its own for each place."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from bridge.keras_side.old.with_kernel import WithKernel

_own = keras.saving.register_keras_serializable(package="bridge")


class LocallyConnected(WithKernel):
    """The kernel lies as the implementation had it, of which each place takes its numbers.

    implementation: 1: (places, size of a patch, filters). 2: from each number of the input to each of the output, most
    of which nothing uses. 3: those alone that are used, by output and then by input.
    """

    rank = 0

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        implementation: int = 1,
        **options: Any,
    ):
        super().__init__(**options)
        self.filters = filters
        self.kernel_size, self.strides = self._sizes(kernel_size), self._sizes(strides)
        if padding not in ("valid", "same") or (padding == "same" and implementation == 1):
            raise ValueError(f"padding={padding!r}: this locally connected layer has no other than 'valid'")
        if implementation not in (1, 2, 3):
            raise ValueError(f"implementation={implementation!r} is none of 1, 2 and 3")
        self.padding, self.implementation = padding, implementation
        self.data_format = data_format or "channels_last"
        self.activation = keras.activations.get(activation)

    def _sizes(self, value: Any) -> tuple[int, ...]:
        return (int(value),) * self.rank if isinstance(value, int) else tuple(map(int, value))

    @property
    def _first(self) -> bool:
        return bool(self.data_format == "channels_first")

    def _input(self, shape: Any) -> tuple[tuple[int, ...], int]:
        """The sizes of the input and its channels."""
        sizes = tuple(shape[2:] if self._first else shape[1:-1])
        if None in sizes:
            raise ValueError("a locally connected layer needs the size of its input, which is open")
        return sizes, shape[1 if self._first else -1]

    def _places(self, shape: Any) -> tuple[int, ...]:
        every = zip(self._input(shape)[0], self.kernel_size, self.strides, strict=True)
        if self.padding == "same":
            return tuple(-(-n // step) for n, _, step in every)
        return tuple((n - k) // step + 1 for n, k, step in every)

    def _pads(self, shape: Any) -> list[tuple[int, int]]:
        if self.padding == "valid":
            return [(0, 0)] * self.rank
        every = zip(self._input(shape)[0], self.kernel_size, self.strides, self._places(shape), strict=True)
        return [(k // 2, max(0, (count - 1) * step + k - k // 2 - n)) for n, k, step, count in every]

    def build(self, shape: Any) -> None:
        places, (sizes, channels) = self._places(shape), self._input(shape)
        dense = (channels, *sizes, self.filters, *places) if self._first else (*sizes, channels, *places, self.filters)
        patch = math.prod(self.kernel_size) * channels
        self.numbers, used = self._numbers(shape)
        shapes = {1: (math.prod(places), patch, self.filters), 2: dense, 3: (used,)}
        self.kernel = self.weight("kernel", shapes[self.implementation])
        if self.use_bias:
            self.bias = self.weight("bias", (*places, self.filters))
        self.built = True

    def _numbers(self, shape: Any) -> tuple[np.ndarray, int]:
        """Which number of a kernel 2 or 3 is meant, (places, size of a patch, filters), and how many there are in 3."""
        places, (sizes, channels) = self._places(shape), self._input(shape)
        every = zip(places, self.strides, self.kernel_size, self._pads(shape), strict=True)
        # of each axis the input's index for (place, offset); outside of it where it is padded
        rows = [np.arange(n)[:, None] * step - before + np.arange(k) for n, step, k, (before, _) in every]
        at = np.indices((*places, *self.kernel_size, channels))
        spatial = [rows[i][at[i], at[self.rank + i]] for i in range(self.rank)]
        inside = np.all([(x >= 0) & (x < n) for x, n in zip(spatial, sizes, strict=True)], axis=0)
        spatial = [np.clip(x, 0, n - 1) for x, n in zip(spatial, sizes, strict=True)]
        source = self._flat(spatial, at[-1], sizes, channels)
        if self._first:  # the channels come first in a patch too
            source, inside = (np.moveaxis(each, -1, self.rank) for each in (source, inside))
        count = math.prod(places)
        source, inside = source.reshape(count, -1, 1), inside.reshape(count, -1, 1)
        out = np.indices((*places, self.filters))
        target = self._flat(list(out[:-1]), out[-1], places, self.filters).reshape(count, 1, self.filters)
        flat = source * (count * self.filters) + target
        if self.implementation == 2:
            return flat.astype("int32"), flat.size
        by_output = target * (math.prod(sizes) * channels) + source
        inside = np.broadcast_to(inside, flat.shape)
        used = np.sort(by_output[inside])
        found = np.minimum(np.searchsorted(used, by_output), len(used) - 1)
        return found.astype("int32"), len(used)

    def _flat(self, spatial: list[Any], channel: Any, sizes: tuple[int, ...], channels: int) -> np.ndarray:
        if self._first:
            return np.ravel_multi_index([channel, *spatial], (channels, *sizes))
        return np.ravel_multi_index([*spatial, channel], (*sizes, channels))

    def call(self, x: Any) -> Any:
        places, kernel = self._places(x.shape), self.kernel
        if self.implementation != 1:
            kernel = ops.take(ops.reshape(kernel, (-1,)), self.numbers, axis=0)
        pads = self._pads(x.shape)
        if any(map(any, pads)):  # zeros, so that it does not matter which number of the kernel meets them
            x = ops.pad(x, [(0, 0), (0, 0), *pads] if self._first else [(0, 0), *pads, (0, 0)])
        y = ops.einsum("bpk,pkf->bpf", self._patches(x, places), kernel)  # patches: (batch, places, size of a patch)
        y = ops.reshape(y, (-1, *places, self.filters))
        y = ops.moveaxis(y, -1, 1) if self._first else y
        if self.use_bias:  # with the channels in front Keras did not turn the bias, but took its numbers in their order
            y = y + (ops.reshape(self.bias, (1, self.filters, *places)) if self._first else self.bias)
        return self.activation(y)

    def _patches(self, x: Any, places: tuple[int, ...]) -> Any:
        raise NotImplementedError

    def compute_output_shape(self, shape: Any) -> Any:
        places = self._places(shape)
        return (shape[0], self.filters, *places) if self._first else (shape[0], *places, self.filters)

    def get_config(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "implementation": self.implementation,
        }
        return {**super().get_config(), **options}


@_own
class LocallyConnected1D(LocallyConnected):
    """Over (batch, steps, channels); a patch is its steps' channels, step by step."""

    rank = 1

    def _patches(self, x: Any, places: tuple[int, ...]) -> Any:
        first = self._first
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
        first = self._first
        if first:
            x = ops.moveaxis(x, 1, -1)
        (high, wide), (down, across), channels = self.kernel_size, self.strides, x.shape[-1]
        rows = [i * down + k for i in range(places[0]) for k in range(high)]
        columns = [j * across + k for j in range(places[1]) for k in range(wide)]
        taken = ops.take(ops.take(x, rows, axis=1), columns, axis=2)
        taken = ops.reshape(taken, (-1, places[0], high, places[1], wide, channels))
        taken = ops.transpose(taken, (0, 1, 3, 5, 2, 4) if first else (0, 1, 3, 2, 4, 5))
        return ops.reshape(taken, (-1, places[0] * places[1], high * wide * channels))
