"""Inputs to try a model on: random, seeded, of the kind that each input takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import onnx

from bridge.errors import BridgeError
from bridge.graph.layer import Graph, Value

MOST_BYTES, MOST_TOGETHER = 2 << 30, 8 << 30  # of a tensor, of all
ROWS = 5
_SMALLER = "Is a size in its config wrong? Else convert it for smaller inputs."
_MOST = 10  # numbers of things are below it
# What leaves numbers whole and no larger: of its first input, of all
_KEEP = (
    *("Cast", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector", "Squeeze", "Unsqueeze", "Transpose"),
    *("Slice", "Split", "Gather", "GatherND", "Tile", "Expand", "Pad", "ZeroPadding1D", "Cropping1D"),
    *("Floor", "Ceil", "Round", "Relu", "Abs", "Clip", "Max", "Min"),
)
_JOIN = ("Concat", "Concatenate")
ANY = 7  # how long an axis of unknown length is


def probe_inputs(
    inputs: Iterable[Value], rows: int = ROWS, seed: int = 0, below: dict[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Random arrays by input name, (rows, ...): normal floats, bytes over their range, other integers 0 to 9.

    below: inputs that are numbers of things, whatever their type, with how many there are: see `counted`.
    """
    random = np.random.default_rng(seed)
    made = {}
    for value in inputs:
        shape = (rows, *_sizes(value))
        dtype = np.dtype(value.dtype)
        if below and value.name in below:
            made[value.name] = random.integers(0, min(below[value.name], _MOST), shape).astype(dtype)
        elif dtype.kind in "iu":
            made[value.name] = random.integers(0, 256 if dtype.itemsize == 1 else 10, shape).astype(dtype)
        elif dtype.kind == "b":
            made[value.name] = random.random(shape) < 0.5
        else:
            made[value.name] = random.standard_normal(shape).astype(dtype)
    return made


def counted(graph: Graph) -> dict[str, int]:
    """The inputs that are numbers of things, perhaps cast, reshaped or cut out before: those that an Embedding takes,
    or a look-up in a table, with how many things the smallest knows; in a vocabulary any number may be looked up.
    """
    tables = {path: weight.shape for path, weight in graph.weights.items()}
    tables |= {name: array.shape for name, array in graph.constants.items()}
    looks = [
        _look(node.kind, node.inputs, node.attributes.get("axis", 0), tables) for node in graph.nodes if not node.layer
    ]
    for node in graph.nodes:
        config = node.layer.config if node.layer else {}
        if node.kind in ("Embedding", "ReversibleEmbedding") and not config.get("reverse"):
            looks.append((node.inputs[0], config.get("input_dim")))
        elif node.kind == "IntegerLookup":
            looks.append((node.inputs[0], _MOST))
    makers = {output: (node.kind, node.inputs) for node in graph.nodes for output in node.outputs}
    return _reached({value.name for value in graph.inputs}, makers, looks)


def counted_in_plain(proto: onnx.ModelProto) -> dict[str, int]:
    """The same of plain ONNX, in which everything is an operator."""
    nodes = proto.graph.node
    tables = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    axes = [next((a.i for a in node.attribute if a.name == "axis"), 0) for node in nodes]
    looks = [_look(node.op_type, node.input, axis, tables) for node, axis in zip(nodes, axes, strict=True)]
    makers = {output: (node.op_type, list(node.input)) for node in nodes for output in node.output}
    return _reached({info.name for info in proto.graph.input} - {*tables}, makers, looks)


def _look(kind: str, inputs: Sequence[str], axis: int, tables: dict[str, tuple[int, ...]]) -> tuple[str, int | None]:
    """What an operator looks up in a table that the model holds, and how many rows that has; None for no such one."""
    shape = tables.get(inputs[0], ()) if kind == "Gather" else ()
    return (inputs[1], shape[axis]) if -len(shape) <= axis < len(shape) else ("", None)


def _reached(
    names: set[str], makers: dict[str, tuple[str, list[str]]], looks: list[tuple[str, int | None]]
) -> dict[str, int]:
    found: dict[str, int] = {}
    for looked, size in looks:
        if not isinstance(size, int) or size <= 0:
            continue
        seen, waiting = {looked}, [looked]
        while waiting:
            value = waiting.pop()
            if value in names:
                found[value] = min(size, found.get(value, size))
                continue
            kind, inputs = makers.get(value, ("", []))
            following = inputs if kind in _JOIN else inputs[1:] if kind == "Where" else inputs[: kind in _KEEP]
            waiting += [each for each in following if each not in seen]
            seen |= {*following}
    return found


def probe_rows(graph: Graph) -> int:
    """How many rows the proof of a conversion takes: a few, of a model with very large tensors fewer."""
    sizes = [_bytes(value, 1) for value in graph.values.values()]
    fits = (n for n in (ROWS, 2) if n * max(sizes, default=0) <= MOST_BYTES and n * sum(sizes) <= MOST_TOGETHER >> 1)
    return next(fits, 1)


def refuse_huge(graph: Graph, rows: int) -> None:
    """Raises BridgeError if a tensor of the model would take over 2 GiB for so many rows of a probe, or all over 8."""
    total = 0
    for value in graph.values.values():
        size = _bytes(value, rows)
        total += size
        if size > MOST_BYTES:
            raise too_large(graph.name, value.name, (rows, *_sizes(value)), size)
    if total > MOST_TOGETHER:  # Keras holds all of them until the last is there
        raise BridgeError(
            f"{graph.name}: its {len(graph.values)} tensors take {total / 2**30:,.1f} GiB for {_rows(rows)} of inputs, "
            f"on which a conversion is proved; at most {MOST_TOGETHER >> 30} are taken. Nothing was run.\n{_SMALLER}"
        )


def too_large(model: str, what: str, shape: Sequence[int], size: int) -> BridgeError:
    """The refusal of a tensor of so many bytes. shape: with the rows of the probe."""
    return BridgeError(
        f"{model}: {what} gives a tensor of {' x '.join(map(str, shape))}, {size / 2**30:,.1f} GiB, for the random "
        f"inputs on which a conversion is proved; at most {MOST_BYTES >> 30} are taken. Nothing was run.\n{_SMALLER}"
    )


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count > 1)}"


def _sizes(value: Value) -> list[int]:
    """How large a value is behind the batch, for a probe."""
    return [ANY if size is None else size for size in (value.shape or ())[1:]]


def _bytes(value: Value, rows: int) -> int:
    return rows * math.prod(_sizes(value)) * np.dtype(value.dtype).itemsize


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| / max|expected|; infinity where the shapes differ or a value is not finite."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    if not expected.size:
        return 0.0
    found, expected = found.astype(np.float64), expected.astype(np.float64)  # in int8, |-128| is -128
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
