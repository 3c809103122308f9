"""Where a layer's spatial axes are, and how Keras pads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bridge.graph.body import Refused
from bridge.graph.layer import Layer, Shape

Pads = tuple[int, int]  # before and after


def rank_of(layer: Layer) -> int:
    """How many spatial axes the layer works on: its class says so at its end, or it works on images."""
    found = re.search(r"(\d)D(Transpose)?$", layer.kind)
    return int(found[1]) if found else 2


def channels_last(layer: Layer) -> bool:
    return bool(layer.config.get("data_format", "channels_last") == "channels_last")


def space(layer: Layer, shape: Shape) -> Shape:
    """The lengths of the spatial axes; None is unknown."""
    if len(shape) != rank_of(layer) + 2:
        raise Refused(f"its input has {len(shape)} axes, {rank_of(layer) + 2} are expected")
    return shape[1:-1] if channels_last(layer) else shape[2:]


def spatial_axes(layer: Layer) -> list[int]:
    first = 1 if channels_last(layer) else 2
    return list(range(first, first + rank_of(layer)))


def channels_of(layer: Layer, shape: Shape) -> int:
    channels = shape[-1] if channels_last(layer) else shape[1]
    if channels is None:
        raise Refused("the number of its input's channels is not known")
    return channels


def in_channels_first(layer: Layer, lines: str, x: str = "x") -> str:
    """Lines of a body with {x} and {y}, whose channels are axis 1, as lines from x to y in the layer's own layout."""
    if not channels_last(layer):
        return lines.format(x=x, y="y")
    rank = rank_of(layer)
    there, back = [0, rank + 1, *range(1, rank + 1)], [0, *range(2, rank + 2), 1]
    return (
        f"first = Transpose <perm = {there}> ({x})\n{lines.format(x='first', y='last')}\n"
        f"y = Transpose <perm = {back}> (last)"
    )


@dataclass(frozen=True)
class Window:
    """What a convolution or pooling slides over the spatial axes.

    pads: zeros (or nothing, for a pooling) before and after each axis; None where they depend on an unknown length.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[Pads | None, ...]

    @property
    def spans(self) -> tuple[int, ...]:
        """From the first to the last place that the window looks at."""
        return tuple((length - 1) * step + 1 for length, step in zip(self.size, self.dilations, strict=True))

    @property
    def known(self) -> tuple[Pads, ...]:
        """The pads, none left out. Raises ValueError if they are not all known."""
        found = tuple(pad for pad in self.pads if pad is not None)
        if len(found) < len(self.pads):
            raise ValueError("the pads depend on the input's size")
        return found

    def outputs(self, lengths: Shape) -> Shape:
        """How many places the window takes on each axis; None where that is unknown."""
        return tuple(
            None if length is None or pad is None else (length + sum(pad) - span) // stride + 1
            for length, pad, span, stride in zip(lengths, self.pads, self.spans, self.strides, strict=True)
        )

    @property
    def attributes(self) -> str:
        """The attributes of an ONNX Conv or pool, without dilations, which average pools don't have."""
        text = f"kernel_shape = {list(self.size)}, strides = {list(self.strides)}, "
        if None in self.pads:
            return text + 'auto_pad = "SAME_UPPER"'
        return text + f"pads = {onnx_pads(self.known)}"


def onnx_pads(pads: Iterable[Pads]) -> list[int]:
    """All the pads before, then all the pads after."""
    before, after = zip(*pads, strict=True)
    return [*before, *after]


def window(layer: Layer, shape: Shape, size: str = "kernel_size") -> Window:
    """The window of a layer whose option `size` is its lengths. shape: of the input."""
    config = layer.config
    sizes, strides = tuple(map(int, config[size])), tuple(map(int, config["strides"]))
    dilations = tuple(map(int, config.get("dilation_rate", [1] * len(sizes))))
    found = Window(sizes, strides, dilations, tuple((0, 0) for _ in space(layer, shape)))
    if config.get("pads"):
        return replace(found, pads=tuple(pads_of(config["pads"], span) for span in found.spans))
    if config["padding"] == "same":
        return replace(found, pads=tuple(map(same_pads, space(layer, shape), found.spans, strides)))
    if config["padding"] == "causal":
        return replace(found, pads=tuple((span - 1, 0) for span in found.spans))
    return found


def transposed_crops(layer: Layer) -> list[Pads]:
    """What a transposed convolution cuts off its full output before and after each axis.

    The full output has (length - 1) * stride + span places. A negative number adds places that only the bias reaches.
    Source: keras.src.backend.common.backend_utils.compute_conv_transpose_output_shape, and TensorFlow's padding for it.
    """
    config = layer.config
    given = config.get("output_padding") or [None] * len(config["strides"])
    crops = []
    for length, stride, dilation, more in zip(
        config["kernel_size"], config["strides"], config["dilation_rate"], given, strict=True
    ):
        span = (length - 1) * dilation + 1
        if config["padding"] == "valid":
            crops.append((0, span - max(span, stride) if more is None else -more))
            continue
        total = span - (stride if more is None else span % 2 + more)
        before = pads_of(config["pads"], span)[0] if config.get("pads") else max(total, 0) // 2
        crops.append((before, total - before))
    return crops


def same_pads(length: int | None, span: int, stride: int) -> Pads | None:
    """Keras's padding "same": as many outputs as strides fit; what is odd comes after. None: it depends on length."""
    if stride == 1 or span == 1:
        total = span - 1
    elif length is None:
        return None
    else:
        total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


def pads_of(word: str, span: int) -> Pads:
    """What an old layer pads for a window of `span`, by the word of its option `pads`: as Keras on Theano did.

    full: every overlap of window and input counts. half: half the window before, and behind what is left of it. both:
    half the window on both sides, so that an even one gives one place more. none: nothing.
    """
    found = {"full": (span - 1, span - 1), "half": (span // 2, span - 1 - span // 2), "none": (0, 0)}
    found["both"] = (span // 2, span // 2)
    if word not in found:
        raise ValueError(f"{word!r} says no way to pad")
    return found[word]
