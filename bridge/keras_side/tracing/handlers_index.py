"""Parts of tensors: slices, and the patches of images. tf2onnx writes some of them wrongly, and some not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from bridge.keras_side.tracing.handlers import FAR, Unwritten, Writer, handler

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


@dataclass
class _Slices:
    """What x[a:b:c, ..., None, i] does, by the entries in brackets and the axes of x."""

    entries: list[int] = field(default_factory=list)  # those that slice an axis
    axes: list[int] = field(default_factory=list)  # the axis that each of them slices
    gone: list[int] = field(default_factory=list)  # axes of length 1 that an index leaves
    new: list[int] = field(default_factory=list)  # where the output has new ones


@handler("StridedSlice")
def strided_slice(graph: Any, node: Any, name: str, args: Any) -> None:
    masks = {word: int(node.get_attr_value(word, 0)) for word in _MASKS}
    given = [i.get_tensor_value(as_list=False) if i.is_const() else None for i in node.inputs[1:]]
    begin, end, steps = (None if value is None else value.astype(np.int64) for value in given)
    if steps is None:
        raise Unwritten("StridedSlice: its strides depend on the input")
    found = _slices(masks, len(steps), graph.get_shape(node.input[0]))

    def has(word: str) -> np.ndarray:
        return np.array([masks[word] >> entry & 1 for entry in found.entries], bool)

    one, steps = has("shrink_axis_mask"), steps[found.entries]
    steps = np.where(one, 1, steps)
    ahead = steps > 0
    open_start, open_end = has("begin_mask") & ~one, has("end_mask") & ~one
    make = Writer(graph, node)
    x = make.inputs[0]
    if not (open_start & open_end & (steps == 1)).all():
        starts = _places(make, make.inputs[1], begin, found.entries, open_start, np.where(ahead, 0, FAR))
        ends = _places(make, make.inputs[2], end, found.entries, open_end, np.where(ahead, FAR, -FAR))
        ends = _behind(make, starts, ends, one) if one.any() else ends
        placed = [
            make.constant(v) if isinstance(v, np.ndarray) else v for v in (starts, ends, np.array(found.axes), steps)
        ]
        x = make("Slice", x, *placed)
    if found.gone:
        x = make("Squeeze", x, make.constant(np.array(found.gone)))
    if found.new:
        x = make("Unsqueeze", x, make.constant(np.array(found.new)))
    make.end("Identity", x)


def _slices(masks: dict[str, int], length: int, shape: list[int] | None) -> _Slices:
    def has(word: str, entry: int) -> bool:
        return bool(masks[word] >> entry & 1)

    whole = sum(not has("ellipsis_mask", i) and not has("new_axis_mask", i) for i in range(length))
    found, axis, place = _Slices(), 0, 0
    for entry in range(length):
        if has("ellipsis_mask", entry):
            if shape is None and entry < length - 1:
                raise Unwritten("StridedSlice: the rank of its input is not known")
            hidden = 0 if shape is None else len(shape) - whole
            axis, place = axis + hidden, place + hidden
        elif has("new_axis_mask", entry):
            found.new.append(place)
            place += 1
        else:
            found.entries.append(entry)
            found.axes.append(axis)
            if has("shrink_axis_mask", entry):
                found.gone.append(axis)
            else:
                place += 1
            axis += 1
    return found


def _places(
    make: Writer, name: str, value: np.ndarray | None, entries: list[int], is_open: np.ndarray, far: np.ndarray
) -> Any:
    """The starts or ends of slices: numbers or, where they depend on the input, a tensor's name."""
    if value is not None:
        return np.where(is_open, far, value[entries])
    picked = make("Gather", make("Cast", name, to=TensorProto.INT64), make.constant(np.array(entries)))
    return make("Where", make.constant(is_open), make.constant(far), picked) if is_open.any() else picked


def _behind(make: Writer, starts: Any, ends: Any, one: np.ndarray) -> Any:
    """The ends, for an index what comes behind it; behind -1 that is no 0."""
    if isinstance(starts, np.ndarray) and isinstance(ends, np.ndarray):
        return np.where(one, np.where(starts == -1, FAR, starts + 1), ends)
    starts, ends = (make.constant(v) if isinstance(v, np.ndarray) else v for v in (starts, ends))
    last = make("Equal", starts, make.constant(np.array([-1])))
    behind = make("Where", last, make.constant(np.array([FAR])), make("Add", starts, make.constant(np.array([1]))))
    return behind if one.all() else make("Where", make.constant(one), behind, ends)


@handler("ReverseV2")
def reverse(graph: Any, node: Any, name: str, args: Any) -> None:
    """As slices from the end; tf2onnx writes a ReverseSequence with the length of each row."""
    if not node.inputs[1].is_const():
        raise Unwritten("ReverseV2: its axes depend on the input")
    axes = node.inputs[1].get_tensor_value(as_list=False).astype(np.int64).reshape(-1)
    make = Writer(graph, node)
    if not len(axes):
        make.end("Identity", make.inputs[0])
        return
    places = [make.constant(np.full(len(axes), number)) for number in (-1, -FAR, -1)]
    make.end("Slice", make.inputs[0], *places[:2], make.constant(axes), places[2])


@handler("ExtractImagePatches")
def image_patches(graph: Any, node: Any, name: str, args: Any) -> None:
    """By gathering columns and rows, of images of any number and size; tf2onnx knows those of fixed ones alone."""
    sizes, strides, rates = (node.get_attr_value(word) for word in ("ksizes", "strides", "rates"))
    same = node.get_attr_str("padding") == "SAME"
    shape = graph.get_shape(node.input[0]) or [-1] * 4
    make = Writer(graph, node)
    (x,) = make.inputs
    apart: list[Any] = [0]
    for axis in (1, 2):
        options = (sizes[axis], strides[axis], rates[axis], same)
        if shape[axis] is None or shape[axis] < 0:
            x, windows, places = _any_windows(make, x, axis, *options)
        else:
            x, windows, places = _windows(make, x, axis, shape[axis], *options)
        x = make("Gather", x, places, axis=axis)  # in one row: ONNX Runtime's transpose optimizer errs with two
        apart += [windows, sizes[axis]]
    x = make("Reshape", x, make.vector([*apart, -1]))
    make.end("Reshape", make("Transpose", x, perm=[0, 1, 3, 2, 4, 5]), make.vector([0, 0, 0, -1]))


def _windows(
    make: Writer, x: str, axis: int, length: int, size: int, stride: int, rate: int, same: bool
) -> tuple[str, int, str]:
    """The image, padded along an axis, how many windows there are, and the places of each, one after the other."""
    reach = (size - 1) * rate + 1
    windows = -(-length // stride) if same else (length - reach) // stride + 1
    padding = max((windows - 1) * stride + reach - length, 0) if same else 0
    if padding:
        x = make("Pad", x, make.vector([padding // 2, padding - padding // 2]), "", make.vector([axis]))
    places = np.arange(windows)[:, None] * stride + np.arange(size) * rate
    return x, windows, make.constant(places.reshape(-1))


def _any_windows(
    make: Writer, x: str, axis: int, size: int, stride: int, rate: int, same: bool
) -> tuple[str, str, str]:
    """The same along an axis of any length."""

    def sum_of(a: str, b: int) -> str:
        return make("Add", a, make.vector([b]))

    reach, step = (size - 1) * rate + 1, make.vector([stride])
    length = make("Shape", x, start=axis, end=axis + 1)
    if same:
        windows = make("Div", sum_of(length, stride - 1), step)
        needed = sum_of(make("Mul", sum_of(windows, -1), step), reach)
        padding = make("Max", make("Sub", needed, length), make.vector([0]))
        before = make("Div", padding, make.vector([2]))
        x = make("Pad", x, make.vector([before, make("Sub", padding, before)]), "", make.vector([axis]))
    else:
        windows = sum_of(make("Div", sum_of(length, -reach), step), 1)
    none = make.constant(np.array(0))
    starts = make("Range", none, make("Squeeze", make("Mul", windows, step)), make.constant(np.array(stride)))
    places = make("Add", make("Unsqueeze", starts, make.vector([1])), make.constant(np.arange(size) * rate))
    return x, windows, make("Reshape", places, make.vector([-1]))
