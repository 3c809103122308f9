"""Convolutions as Theano padded them, and as Keras 1 was told their size: nodes of their own, as Keras 3 classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from bridge.graph.bodies.space import pads_of

_own = keras.saving.register_keras_serializable(package="bridge")


def _first(layer: Any) -> bool:
    return bool(layer.data_format == "channels_first")


def _spans(layer: Any) -> list[int]:
    return [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]


def _how(layer: Any) -> dict[str, Any]:
    how = {"strides": tuple(layer.strides), "dilation_rate": tuple(layer.dilation_rate)}
    return {**how, "data_format": "channels_last"}


def _last(layer: Any, x: Any, convolve: Callable[[Any], Any]) -> Any:
    """What a layer makes of x by `convolve`, which gets the channels last and gives them so."""
    y = convolve(ops.moveaxis(x, 1, -1) if _first(layer) else x)
    y = y + layer.bias if layer.use_bias else y
    return layer.activation(ops.moveaxis(y, -1, 1) if _first(layer) else y)


class _Convolution:
    """In front of one of Keras's own convolutions: computed with the channels last, where Keras adds the bias rightly.

    pads: how it pads, by the names of `pads_of`; Keras's own padding is "valid" then. "": as that says.
    """

    def __init__(self, *args: Any, pads: str = "half", **options: Any):
        super().__init__(*args, **options)
        if self.padding != "valid" and (pads or self.padding != "same"):
            raise ValueError(f"pads={pads!r} and padding={self.padding!r} are two ways to pad")
        self.pads = pads
        self._sides()  # raises ValueError for a word that says no way to pad

    def _sides(self) -> list[tuple[int, int]]:
        return [pads_of(self.pads or "none", span) for span in _spans(self)]

    def call(self, x: Any) -> Any:
        return _last(self, x, self._padded)

    def _padded(self, x: Any) -> Any:
        x, how = ops.pad(x, [(0, 0), *self._sides(), (0, 0)]), _how(self)
        how["padding"] = self.padding
        if len(set(self.strides)) == 1 or self.padding == "same":
            return self.slid(x, **how)
        y = self.slid(x, **how | {"strides": 1})  # of each channel TensorFlow takes no two strides
        return y[(slice(None), *(slice(None, None, step) for step in self.strides), slice(None))]

    def slid(self, x: Any, **how: Any) -> Any:
        """The sums of the products of a kernel and what is under it."""
        return ops.conv(x, self.kernel, **how)

    def compute_output_shape(self, shape: Any) -> Any:
        sizes = list(shape)
        for place, (before, after) in enumerate(self._sides(), 2 if _first(self) else 1):
            sizes[place] = None if sizes[place] is None else sizes[place] + before + after
        return super().compute_output_shape(tuple(sizes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pads": self.pads}


@_own
class Conv1D(_Convolution, keras.layers.Conv1D):
    """Over (batch, steps, channels)."""


@_own
class Conv2D(_Convolution, keras.layers.Conv2D):
    """Over images."""


@_own
class Conv3D(_Convolution, keras.layers.Conv3D):
    """Over volumes."""


@_own
class DepthwiseConv2D(_Convolution, keras.layers.DepthwiseConv2D):
    """Each channel with kernels of its own."""

    def slid(self, x: Any, **how: Any) -> Any:
        return ops.depthwise_conv(x, self.kernel, **how)


class _Separable(_Convolution):
    def slid(self, x: Any, **how: Any) -> Any:
        return ops.separable_conv(x, self.depthwise_kernel, self.pointwise_kernel, **how)


@_own
class SeparableConv1D(_Separable, keras.layers.SeparableConv1D):
    """Over (batch, steps, channels), then over the channels alone."""


@_own
class SeparableConv2D(_Separable, keras.layers.SeparableConv2D):
    """Over images, then over the channels alone."""


class _Transposed:
    """pads: "half": padding "same" cuts half the kernel off both sides of what comes out; "": it is Keras's own.

    output_size: Keras 1 was told it: with strides, several sizes come to one when convolved.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        pads: str = "",
        output_size: Any = None,
        output_padding: Any = None,
        **options: Any,
    ):
        super().__init__(filters, kernel_size, **options)
        if pads not in ("", "half") or (pads and self.padding != "same"):
            raise ValueError(f"pads={pads!r} and padding={self.padding!r} are no way to pad")
        self.pads, self.output_size = pads, output_size
        if output_padding is not None:  # an even kernel's may be as much as its stride
            self.output_padding = tuple(output_padding)

    def build(self, shape: Any) -> None:
        if self.output_size:
            lengths = shape[2:] if _first(self) else shape[1:-1]
            every = zip(lengths, self.strides, _spans(self), self.output_size, strict=True)
            found = tuple(self._more(*each) for each in every)
            if None in found:
                raise ValueError(f"images of {tuple(shape)} can't become {tuple(self.output_size)} large")
            self.output_padding = found
        super().build(shape)

    def _more(self, length: int, step: int, span: int, size: int) -> int | None:
        """How much longer an axis of `size` is than the shortest that comes to `length`; None if it comes to another.

        On Theano Keras 1 cut what an even kernel gave to the length that a convolution would give.
        """
        if self.padding == "valid":
            more = size - (length - 1) * step - span
            return more if 0 <= more < step else None
        even = span % 2 == 0
        more = size - (length - 1) * step - span % 2
        if self.pads:
            return more if 0 <= more < step and not (even and size > -(-length // step)) else None
        return more if even <= more < step + even else None

    def call(self, x: Any) -> Any:
        return _last(self, x, self._spread)

    def _spread(self, x: Any) -> Any:
        how = {**_how(self), "padding": self.padding, "output_padding": self.output_padding}
        if not self.pads:
            return ops.conv_transpose(x, self.kernel, **how)
        cuts = [span // 2 for span in _spans(self)]
        more = self.output_padding or [step - 1 for step in self.strides]
        added = [max(0, m - cut) for m, cut in zip(more, cuts, strict=True)]
        y = ops.conv_transpose(x, self.kernel, **how | {"padding": "valid", "output_padding": added})
        every = zip(cuts, more, added, strict=True)
        inner = [slice(cut, (m - a - cut) or None) for cut, m, a in every]
        return y[(slice(None), *inner, slice(None))]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pads": self.pads, "output_size": self.output_size}


@_own
class Conv2DTranspose(_Transposed, keras.layers.Conv2DTranspose):
    """Over images."""


@_own
class Conv3DTranspose(_Transposed, keras.layers.Conv3DTranspose):
    """Over volumes."""
