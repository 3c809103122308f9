"""Inputs that are numbers of things: by them a model looks things up in its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from bridge.graph.layer import Graph

VOCABULARY = 10  # in a vocabulary any number may be looked up; those that are tried are below it
# What leaves each number of its first input as it is and adds none; whole and no larger; the same of all inputs
_SAME = (
    *("Cast", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector", "Squeeze", "Unsqueeze", "Transpose"),
    *("Tile", "Expand"),
)
_WHOLE = (
    *_SAME,
    *("Slice", "Split", "Gather", "GatherND", "Pad", "ZeroPadding1D", "Cropping1D"),
    *("Floor", "Ceil", "Round", "Relu", "Abs", "Clip", "Max", "Min"),
)
_JOIN = ("Concat", "Concatenate")


def counted(graph: Graph) -> dict[str, int]:
    """The inputs that are numbers of things, perhaps cast, reshaped or cut out before: those that an Embedding takes,
    or a look-up in a table, with how many things the smallest knows; in a vocabulary any number may be looked up.
    """
    return _Model.of_graph(graph).reached(every=False)


def counted_in(proto: onnx.ModelProto) -> dict[str, int]:
    """The same of an ONNX model, layered or plain."""
    return _Model.of_proto(proto).reached(every=False)


def looked_up(graph: Graph) -> dict[str, int]:
    """Those inputs of which every number is looked up in a table, with how many rows the smallest has."""
    return _Model.of_graph(graph).reached(every=True)


def looked_up_in(proto: onnx.ModelProto) -> dict[str, int]:
    """The same of an ONNX model, layered or plain."""
    return _Model.of_proto(proto).reached(every=True)


@dataclass(frozen=True)
class _Step:
    """A node. axis: of the table that it takes. rows: of the table that it is, 0 if it is none."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    axis: int
    rows: int


@dataclass(frozen=True)
class _Model:
    """What is known of a model, whatever its form. tables: the shapes of what it holds."""

    inputs: set[str]
    tables: Mapping[str, tuple[int, ...]]
    steps: list[_Step]

    @classmethod
    def of_graph(cls, graph: Graph) -> _Model:
        tables = {path: weight.shape for path, weight in graph.weights.items()}
        tables |= {name: array.shape for name, array in graph.constants.items()}
        steps = [
            _Step(
                *(node.kind, node.inputs, node.outputs, node.attributes.get("axis", 0)),
                _rows(node.kind, node.layer.config if node.layer else {}),
            )
            for node in graph.nodes
        ]
        return cls({value.name for value in graph.inputs}, tables, steps)

    @classmethod
    def of_proto(cls, proto: onnx.ModelProto) -> _Model:
        tables = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
        steps = []
        for node in proto.graph.node:
            given = {a.name: a for a in node.attribute if a.name in ("axis", "config")}
            axis = given["axis"].i if "axis" in given else 0
            rows = _rows(node.op_type, _config(given["config"].s)) if "config" in given else 0
            steps.append(_Step(node.op_type, node.input, node.output, axis, rows))
        return cls({info.name for info in proto.graph.input} - {*tables}, tables, steps)

    def reached(self, every: bool) -> dict[str, int]:
        """The inputs from which what is looked up comes. every: those alone of which every number is looked up."""
        makers = {output: step for step in self.steps for output in step.outputs}
        found: dict[str, int] = {}
        for looked, size in self._looks(every):
            seen, waiting = {looked}, [looked]
            while waiting:
                value = waiting.pop()
                if value in self.inputs:
                    found[value] = min(size, found.get(value, size))
                    continue
                following = [each for each in _before(makers.get(value), every) if each not in seen]
                waiting += following
                seen |= {*following}
        return found

    def _looks(self, every: bool) -> Iterator[tuple[str, int]]:
        """What is looked up in a table that the model holds, and how many rows that has."""
        for step in self.steps:
            first, second = (*step.inputs, "", "")[:2]
            shape = self.tables.get(first, ()) if step.kind == "Gather" else ()
            if -len(shape) <= step.axis < len(shape) and shape[step.axis] > 0:
                yield second, shape[step.axis]
            elif step.rows:
                yield first, step.rows
            elif step.kind == "IntegerLookup" and not every:
                yield first, VOCABULARY


def _config(content: bytes) -> dict[str, Any]:
    try:
        config = json.loads(content)
    except ValueError:  # another's attribute
        return {}
    return config if isinstance(config, dict) else {}


def _rows(kind: str, config: Mapping[str, Any]) -> int:
    """How many rows an embedding's table has; one that is called in reverse takes features."""
    rows = config.get("input_dim") if kind in ("Embedding", "ReversibleEmbedding") else 0
    return rows if isinstance(rows, int) and rows > 0 and not config.get("reverse") else 0


def _before(step: _Step | None, every: bool) -> Sequence[str]:
    """The values whose numbers a node passes on."""
    if step is None:
        return []
    if every:
        return step.inputs[: step.kind in _SAME]
    if step.kind in _JOIN:
        return step.inputs
    return step.inputs[1:] if step.kind == "Where" else step.inputs[: step.kind in _WHOLE]
