"""Where the pixels of a resized image come from: as Keras computes it and as ONNX does, in float32 both."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bridge.graph.bodies.space import Pads
from bridge.graph.body import integers
from bridge.graph.layer import Shape

_LONG = 2**16  # pixels of an axis, of longer ones nobody looks how places are rounded
_NEAR = 2**-18  # pixels by which the axes of a place may together be rounded otherwise: 4e-6 of what neighbours differ
_SLACK = 1 + 2**-21  # ONNX Runtime takes places that are hardly less than a half for one


@dataclass(frozen=True)
class Resize:
    """What a layer does to the height and the width of its images.

    frame: pixels added (with the value `fill`; negative: cut off) before and after each axis, in advance.
    lengths: of both axes then; None is unknown. size: what they become. factors: or how often longer they become.
    fit: how images of unknown size get the aspect ratio of `size` in advance: "crop", "pad", or "center", which cuts
        those that are as large as `size` to that.
    """

    lengths: Shape
    frame: tuple[Pads, ...] = ((0, 0), (0, 0))
    fill: float = 0.0
    size: tuple[int, ...] | None = None
    factors: tuple[int, ...] | None = None
    method: str = "bilinear"
    antialias: bool = False
    fit: str = ""


def exact_scales(resize: Resize) -> tuple[float, ...] | None:
    """By what a bilinear resize multiplies the axes, if these are powers of two.

    Then the places of the new pixels are exact numbers. Others are rounded, by each library in an order of its own,
    which is up to 1e-5 of a pixel in an image of 300: only then ONNX's and torch's own interpolation isn't Keras's.
    """
    if resize.method != "bilinear" or resize.antialias or (resize.factors is None and None in resize.lengths):
        return None
    sizes = zip(resize.size or (), resize.lengths, strict=False)
    scales: tuple[float, ...] = resize.factors or tuple(new / old for new, old in sizes if old)
    return scales if all(math.frexp(scale)[0] == 0.5 for scale in scales) else None


def near(resize: Resize) -> bool:
    """Whether ONNX's places of a bilinear resize's new pixels are Keras's but for `_NEAR`.

    ONNX Runtime divides by new / old, TensorFlow multiplies by old / new, in float32: up to place 32 of both axes their
    roundings differ by no more than that, and beyond for some lengths.
    """
    half = np.float32(0.5)
    return sum(float(np.abs((ours - half) - (keras - half)).max()) for ours, keras, _ in _middles(resize)) <= _NEAR


def same(resize: Resize) -> bool:
    """Whether ONNX Runtime's nearest pixels are the very ones that Keras takes; of halves it takes the upper one."""
    for ours, keras, last in _middles(resize):
        place = (ours - np.float32(0.5)).astype(np.float64)
        for slack in (1, _SLACK):
            pixels = np.clip(np.floor(place * slack + 0.5), 0, last)
            if not np.array_equal(pixels, np.minimum(np.floor(keras), last)):
                return False
    return True


def _middles(resize: Resize) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """For each axis the places of its new pixels' middles, as ONNX and as Keras round them, and the last old pixel."""
    for old, after in zip(np.array(resize.lengths, np.float32), whole_size(resize), strict=True):
        new = np.float32(after)
        middles = np.arange(after, dtype=np.float32) + np.float32(0.5)
        yield middles / (new / old), middles * (old / new), int(old) - 1


def whole_size(resize: Resize) -> tuple[int, ...]:
    """What the lengths become: nothing, if that is unknown or so long that nobody looks how places are rounded."""
    if not all(resize.lengths):
        return ()
    size = resize.size or tuple(map(operator.mul, resize.lengths, resize.factors or ()))
    return size if 0 < min(size) <= max(size) <= _LONG else ()


def open_size(resize: Resize) -> tuple[int, ...]:
    """What unknown lengths become, if that can be looked at when they are known."""
    size = resize.size if resize.size and None in resize.lengths else ()
    return size if size and 0 < min(size) <= max(size) <= _LONG else ()


def single(name: str, value: float) -> str:
    """A line for a float32 whatever the images are: what depends on such numbers alone is computed once, at loading."""
    return f"{name} = Constant <value_float = {float(value)!r}> ()\n"


def same_lines(axes: list[int], x: str, size: tuple[int, ...]) -> str:
    """Lines that define `same`, what `same()` tells of lengths that are known when the model runs.

    Rows and columns stand in one vector: few operators, for small images have little else to do. Nothing is beyond the
    last pixel: so far off are only places of axes longer than `_LONG`.
    """
    lines = single("same_zero", 0) + single("same_one", 1) + single("same_half", 0.5)
    for position, (name, length) in enumerate(zip(("rows", "columns"), size, strict=True)):
        lines += single(f"same_{name}", length) + f"same_{name}_i = Range(same_zero, same_{name}, same_one)\n"
        lines += integers(f"same_{name}_at", [position]) + integers(f"same_{name}_all", [length])
        lines += f"same_{name}_axis = Expand(same_{name}_at, same_{name}_all)\n"
    return lines + (
        "same_i = Concat <axis = 0> (same_rows_i, same_columns_i)\nsame_mid = Add(same_i, same_half)\n"
        "same_axis = Concat <axis = 0> (same_rows_axis, same_columns_axis)\n"
        f"same_size = Constant <value_floats = [{float(size[0])}, {float(size[1])}]> ()\n"
        "same_new = Gather(same_size, same_axis)\n"
        f"same_shape = Shape <start = {axes[0]}, end = {axes[-1] + 1}> ({x})\n"
        "same_lengths = Cast <to = 1> (same_shape)\nsame_old = Gather(same_lengths, same_axis)\n"
        "same_scale = Div(same_old, same_new)\nsame_keras = Mul(same_mid, same_scale)\n"
        "same_floor = Floor(same_keras)\nsame_pixels = Cast <to = 11> (same_floor)\n"
        "same_times = Div(same_new, same_old)\nsame_far = Div(same_mid, same_times)\n"
        "same_near = Sub(same_far, same_half)\nsame_place = Cast <to = 11> (same_near)\n"
        f"same_slack = Constant <value = double[2, 1] {{1.0, {_SLACK!r}}}> ()\n"
        "same_up = Mul(same_place, same_slack)\nsame_half64 = Constant <value = double {0.5}> ()\n"
        "same_upper = Add(same_up, same_half64)\nsame_ours = Floor(same_upper)\n"
        "same_each = Equal(same_ours, same_pixels)\nsame_ones = Cast <to = 6> (same_each)\n"
        "same_all = ReduceMin <keepdims = 0> (same_ones)\nsame = Cast <to = 9> (same_all)\n"
    )
