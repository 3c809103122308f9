"""Arrays as a model wants them: its input names, its shapes, its types."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bridge.data.dataset import Array, Data
from bridge.errors import BridgeError

Shape = tuple[int | None, ...]

_CHUNK = 2**22  # values that are looked at in one go


def fit_to(
    data: Data,
    inputs: dict[str, Shape],
    scale: float | None = None,
    types: dict[str, str] | None = None,
    below: dict[str, int] | None = None,
) -> dict[str, Array]:
    """{model input: (rows, *shape), C-contiguous}: integers where `types` says so, else float32 divided by `scale`.

    inputs: model input name -> shape without the batch axis, None where any size fits.
    types: model input name -> numpy's name of its type; an input of integers or truth values takes whole numbers only.
    below: model input name -> how many things it chooses from by their numbers, from 0 on.
    The only input of the data goes to the only input of the model whatever their names; several go by name. A row is
    reshaped only where its values keep their order beyond doubt: to or from one axis, or by axes of length 1.
    Raises BridgeError if names, shapes or `scale` don't fit, or a value is NaN, infinite, beyond the type or, for an
    input of integers, no whole number, or one that chooses nothing.
    """
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise BridgeError(f"the scale is {scale}; it must be a positive number, such as 255.")
    whole = {name: np.dtype(kind) for name, kind in (types or {}).items() if np.dtype(kind).kind in "iub"}
    if scale is not None and inputs and all(name in whole for name in inputs):
        raise BridgeError(f"{data.origin}: the model takes integers ({', '.join(inputs)}); leave the scale out.")
    fitted = {}
    for source, (name, shape) in zip(_sources(data, inputs), inputs.items(), strict=True):
        array, wanted, where = data.inputs[source], _shape(data, source, name, shape), f"{data.origin}: {source}"
        if name in whole:
            fitted[name] = _as_whole(array, wanted, whole[name], where)
        else:
            fitted[name] = _as_float32(array, wanted, scale, where)
        if below and name in below:
            _refuse_beyond(fitted[name], below[name], where)
    return fitted


def _sources(data: Data, inputs: dict[str, Shape]) -> list[str]:
    """The name in `data` for each model input."""
    if len(data.inputs) == len(inputs) == 1:
        return list(data.inputs)
    if set(data.inputs) != set(inputs):
        named = "the targets" if data.targets is not None else "the targets: y, or what --label names"
        raise BridgeError(
            f"{data.origin}: the model's inputs are {', '.join(inputs)}; the data has {', '.join(data.inputs)}.\n"
            f"Save the arrays of an .npz under the names of the model's inputs, and no others beside {named}."
        )
    return list(inputs)


def _shape(data: Data, source: str, name: str, shape: Shape) -> tuple[int, ...]:
    """The full shape, batch axis included, that the array takes."""
    array = data.inputs[source]
    row = array.shape[1:]
    for fitting in (row, (*row, 1), row[:-1] if row[-1:] == (1,) else row):
        if len(fitting) == len(shape) and all(want in (None, got) for want, got in zip(shape, fitting, strict=True)):
            return (len(array), *fitting)
    known = [size for size in shape if size is not None]
    if len(known) == len(shape) and math.prod(known) == math.prod(row):
        wide = [[size for size in axes if size != 1] for axes in (known, row)]
        if wide[0] == wide[1] or min(len(axes) for axes in wide) < 2:
            return (len(array), *known)
        reason = "The counts agree, the axes don't: transpose the data first."
    else:
        reason = "Give the data that the model was made for, or a model for this data."
    raise BridgeError(
        f"{data.origin}: a row of {source} is {_values(row)}; "
        f"the model's input {name} wants {_values(shape)}.\n{reason}"
    )


def _values(shape: Shape) -> str:
    text = " x ".join("any" if size is None else str(size) for size in shape) or "1 value"
    return f"{text} values" if len(shape) == 1 else text


def _as_float32(array: Array, shape: tuple[int, ...], scale: float | None, where: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # what doesn't fit becomes inf and is refused below
        if scale is None:
            fitted = np.ascontiguousarray(array, np.float32)
        else:
            fitted = np.empty(array.shape, np.float32)
            np.divide(array, np.float32(scale), out=fitted, dtype=np.float32, casting="same_kind")
    if array.dtype.kind == "f":
        refuse_not_finite(fitted, where)
    return fitted.reshape(shape)


def _as_whole(array: Array, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array:
    """`array` as integers or truth values, the same numbers."""
    with np.errstate(invalid="ignore", over="ignore"):  # what doesn't fit becomes another number, refused below
        fitted = np.ascontiguousarray(array, dtype)
    different = np.argwhere(fitted != array) if fitted.dtype != array.dtype else np.empty((0, 1), int)
    if len(different):
        first = tuple(map(int, different[0]))
        found = f"{where} is {array[first]}{_place(first)}"
        raise BridgeError(
            f"{found}; the model takes {dtype.name} there.\n"
            "Give whole numbers within that type, such as the indices that the model was trained on."
        )
    return fitted.reshape(shape)


def _refuse_beyond(array: Array, count: int, where: str) -> None:
    """Raises BridgeError with the first number that a table of so many rows doesn't have."""
    outside = (array < 0) | (array >= count)
    if outside.any():
        first = tuple(map(int, np.argwhere(outside)[0]))
        from_end = f" Keras counts it from the end: add {count:,}." if -count <= array[first] < 0 else ""
        raise BridgeError(
            f"{where} is {array[first]:g}{_place(first)}; the model looks it up in a table of {count:,}, "
            f"which knows 0 to {count - 1:,}.{from_end}\nGive the numbers that the model was trained on."
        )


def _place(index: tuple[int, ...]) -> str:
    position = f", position {', '.join(map(str, index[1:]))}" if len(index) > 1 else ""
    return f" in row {index[0]}{position} (counted from 0)"


def refuse_not_finite(array: Array, where: str) -> None:
    """Raises BridgeError with row and position of the first NaN or infinity in `array` (rows, ...)."""
    rows = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), rows):
        finite = np.isfinite(array[start : start + rows])
        if not finite.all():
            first = tuple(int(axis) for axis in np.argwhere(~finite)[0])
            value, place = array[start : start + rows][first], _place((start + first[0], *first[1:]))
            raise BridgeError(
                f"{where} is {value}{place}, expected finite float32 numbers.\n"
                "Fill such values or leave those rows out."
            )
