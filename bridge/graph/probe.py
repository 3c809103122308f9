"""Inputs to try a model on: random, seeded, of the kind that each input takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import onnx

from bridge.errors import BridgeError
from bridge.graph.layer import Graph, Value

MOST_BYTES = 2 << 30
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
    inputs: Iterable[Value], rows: int = 5, seed: int = 0, below: dict[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Random arrays by input name, (rows, ...): normal floats, bytes over their range, other integers 0 to 9.

    below: inputs that are numbers of things, whatever their type, with how many there are: see `counted`.
    """
    random = np.random.default_rng(seed)
    made = {}
    for value in inputs:
        shape = (rows, *(ANY if size is None else size for size in (value.shape or (None,))[1:]))
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


def refuse_huge(graph: Graph, rows: int = 5) -> None:
    """Raises BridgeError if a tensor of the model would take over 2 GiB for the few rows of a probe."""
    for value in graph.values.values():
        size = rows * math.prod(size or 1 for size in (value.shape or ())[1:]) * np.dtype(value.dtype).itemsize
        if size > MOST_BYTES:
            raise BridgeError(f"{graph.name}: {value.name} is {value.shape} for each row, over {MOST_BYTES >> 30} GiB.")


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found - expected| / max|expected|; infinity where the shapes differ or a value is not finite."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    if not expected.size:
        return 0.0
    found, expected = found.astype(np.float64), expected.astype(np.float64)  # in int8, |-128| is -128
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
