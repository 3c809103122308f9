"""Where the pixels of a resized image come from: as Keras computes it and as ONNX does, in float32 both."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from bridge.graph.bodies.space import Pads
from bridge.graph.body import integers
from bridge.graph.layer import Shape

_LONG = 2**16  # pixels of an axis, of longer ones nobody looks how places are rounded
_NEAR = 2**-18  # pixels by which the axes of a place may together be rounded otherwise: 4e-6 of what neighbours differ
_MOST_OPEN = 4096  # pixels of an axis of unknown length, of longer ones nobody looks either
_MOST_NEW = 2048  # pixels that it becomes; to look how more are rounded takes long


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
    """Whether ONNX's places of a bilinear resize's new pixels are Keras's but for `_NEAR`."""
    return sum(float(_off(np.array([old]), new)[0]) for old, new in _axes(resize)) <= _NEAR


def same(resize: Resize) -> bool:
    """Whether ONNX Runtime's nearest pixels are the very ones that Keras takes."""
    return all(_agree(np.array([old]), new)[0] for old, new in _axes(resize))


def _axes(resize: Resize) -> Iterator[tuple[int | None, int]]:
    return zip(resize.lengths, whole_size(resize), strict=True)


def _middles(old: np.ndarray, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For each old length of an axis the middles of the new pixels in it, as ONNX and as Keras round them.

    ONNX Runtime divides by new / old, TensorFlow multiplies by old / new.
    """
    before, after = old.astype(np.float32)[:, None], np.float32(new)
    middles = np.arange(new, dtype=np.float32) + np.float32(0.5)
    return middles / (after / before), middles * (before / after)


def _off(old: np.ndarray, new: int) -> np.ndarray:
    """How far apart these places are: up to place 32 of both axes never more than `_NEAR`, beyond for some lengths."""
    ours, keras = (middles - np.float32(0.5) for middles in _middles(old, new))
    off: np.ndarray = np.abs(ours - keras).max(axis=1)
    return off


def _agree(old: np.ndarray, new: int) -> np.ndarray:
    """Whether the nearest pixels are the same for both; of halves ONNX's is the upper one."""
    ours, keras = _middles(old, new)
    place, last = (ours - np.float32(0.5)).astype(np.float64), old[:, None] - 1
    pixels = np.minimum(np.floor(keras), last)
    slacks = (1, 1 + 2**-21)  # the CPU takes places that are hardly less than a half for one
    agree: np.ndarray = np.all(
        [np.clip(np.floor(place * slack + 0.5), 0, last) == pixels for slack in slacks], axis=(0, 2)
    )
    return agree


@cache
def _lengths_alike(method: str, new: int) -> tuple[bool, ...]:
    """Of which lengths up to `_MOST_OPEN` ONNX's Resize makes what Keras does; the last entry is for longer ones."""
    alike = [False]
    for first in range(1, _MOST_OPEN, 256):  # not all at once, for the memory
        old = np.arange(first, first + 256)
        found = _agree(old, new) if method == "nearest" else _off(old, new) <= _NEAR / 2
        alike += map(bool, found)
    return (*alike, False)


def alike_lines(resize: Resize, axes: list[int], x: str) -> str:
    """Lines that define `alike`: whether ONNX's Resize makes of x what Keras does, for the lengths that x has then.

    Nothing where that is never so. A table for each axis, for small images every operator counts.
    """
    if resize.size is None or None not in resize.lengths or not 0 < min(resize.size) <= max(resize.size) <= _MOST_NEW:
        return ""
    lines, conditions = integers("alike_most", [_MOST_OPEN + 1]), []
    for axis, old, new in zip(axes, resize.lengths, resize.size, strict=True):
        alike = _lengths_alike(resize.method, new)
        if old is not None:
            if not alike[min(old, _MOST_OPEN + 1)]:
                return ""
            continue
        name, table = f"alike_{axis}", f"alike_to_{new}"
        if f"{table} = " not in lines:
            listed = ", ".join("1" if is_so else "0" for is_so in alike)
            lines += f"{table} = Constant <value = bool[{len(alike)}] {{{listed}}}> ()\n"
        lines += f"{name}_length = Shape <start = {axis}, end = {axis + 1}> ({x})\n"
        lines += f"{name}_at = Min({name}_length, alike_most)\n{name} = Gather({table}, {name}_at)\n"
        conditions.append(name)
    return lines + f"alike = {'And' if len(conditions) == 2 else 'Identity'}({', '.join(conditions)})\n"


def whole_size(resize: Resize) -> tuple[int, ...]:
    """What the lengths become: nothing, if that is unknown or so long that nobody looks how places are rounded."""
    if not all(resize.lengths):
        return ()
    size = resize.size or tuple(map(operator.mul, resize.lengths, resize.factors or ()))
    return size if 0 < min(size) <= max(size) <= _LONG else ()


def single(name: str, value: float) -> str:
    """A line for a float32 whatever the images are: what depends on such numbers alone is computed once, at loading."""
    return f"{name} = Constant <value_float = {float(value)!r}> ()\n"
