"""The bodies of the layers that give images another size."""

from __future__ import annotations

import numpy as np

from bridge.graph.bodies.interpolation import METHODS, resized, scaled
from bridge.graph.bodies.places import Resize
from bridge.graph.bodies.space import Pads, rank_of, space
from bridge.graph.body import Refused, body
from bridge.graph.layer import Layer, Shape


@body("UpSampling1D")
@body("UpSampling2D")
@body("UpSampling3D")
def up_sampling(layer: Layer, shapes: list[Shape]) -> str:
    """Each value repeated along each spatial axis, or an interpolation between the values' middles."""
    found = up_sampling_of(layer, shapes[0])
    if found.method != "nearest":
        return resized(layer, found, shapes[0])
    how = 'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"'
    return scaled(layer, shapes[0], "x", found.factors or (), how)


def up_sampling_of(layer: Layer, shape: Shape) -> Resize:
    size = layer.config["size"]
    factors = tuple(int(factor) for factor in (size if isinstance(size, list | tuple) else [size]))
    frame = ((0, 0),) * rank_of(layer)
    return Resize(space(layer, shape), frame, factors=factors, method=_method(layer, "nearest"))


@body("Resizing")
def resizing(layer: Layer, shapes: list[Shape]) -> str:
    return resized(layer, resizing_of(layer, shapes[0]), shapes[0])


def resizing_of(layer: Layer, shape: Shape) -> Resize:
    config, lengths = layer.config, space(layer, shape)
    size = (int(config["height"]), int(config["width"]))
    crop, pad = config["crop_to_aspect_ratio"], config["pad_to_aspect_ratio"]
    if crop and pad:
        raise Refused("it wants both crop_to_aspect_ratio and pad_to_aspect_ratio, which Keras refuses too")
    if pad and config["fill_mode"] != "constant":
        raise Refused(f"its option fill_mode={config['fill_mode']!r} is not supported, and not by Keras either")
    frame: tuple[Pads, ...] = ((0, 0), (0, 0))
    known = _known(lengths)
    fit = "" if known or not (crop or pad) else "crop" if crop else "pad"
    if known and (crop or pad):
        frame = _cropped(known, size, np.float32) if crop else _padded(known, size)
    return Resize(
        tuple(None if n is None or fit else n + sum(pads) for n, pads in zip(lengths, frame, strict=True)),
        frame,
        float(config["fill_value"]) if pad else 0.0,
        size,
        method=_method(layer, "bilinear"),
        antialias=bool(config["antialias"]),
        fit=fit,
    )


@body("CenterCrop")
def center_crop(layer: Layer, shapes: list[Shape]) -> str:
    return resized(layer, center_crop_of(layer, shapes[0]), shapes[0])


def center_crop_of(layer: Layer, shape: Shape) -> Resize:
    """The middle of the images; of images that are smaller, the largest part of this aspect ratio, resized."""
    size, known = (int(layer.config["height"]), int(layer.config["width"])), _known(space(layer, shape))
    if known is None:
        return Resize((None, None), size=size, fit="center")
    height, width = known
    over = (height - size[0], width - size[1])
    if min(over) < 0:
        frame = _cropped((height, width), size, float)
        return Resize((height + sum(frame[0]), width + sum(frame[1])), frame, size=size)
    return Resize(size, tuple((-(more // 2), more // 2 - more) for more in over), size=size, method="none")


def _method(layer: Layer, default: str) -> str:
    found = str(layer.config.get("interpolation", default))
    if found not in METHODS:
        raise Refused(f"its option interpolation={found!r} is none of Keras's: {', '.join(METHODS)}")
    return found


def _known(lengths: Shape) -> tuple[int, int] | None:
    """Height and width, if both are known."""
    height, width = lengths
    return None if height is None or width is None else (height, width)


def _cropped(lengths: tuple[int, int], size: tuple[int, int], real: type) -> tuple[Pads, ...]:
    """What is cut off for the aspect ratio of `size`. real: the type in which Keras divides."""
    (height, width), (rows, columns) = lengths, size
    kept = (int(real(width * rows) / real(columns)), int(real(height * columns) / real(rows)))
    cuts = []
    for length, wanted in zip(lengths, kept, strict=True):
        less = length - max(min(length, wanted), 1)
        cuts.append((-(less // 2), less // 2 - less))
    return tuple(cuts)


def _padded(lengths: tuple[int, int], size: tuple[int, int]) -> tuple[Pads, ...]:
    """What is added for the aspect ratio of `size`, the same before and after: Keras drops what is odd."""
    (height, width), (rows, columns) = lengths, size
    wanted = (
        int(np.float32(width * rows) / np.float32(columns)),
        int(np.float32(height * columns) / np.float32(rows)),
    )
    pads = [max(more - length, 0) // 2 for length, more in zip(lengths, wanted, strict=True)]
    return tuple((pad, pad) for pad in pads)
