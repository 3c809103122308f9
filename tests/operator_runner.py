"""Runs standard ONNX operators as a converted model does: a graph becomes a module, whose source computes it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from bridge.graph import Graph, Node, Value
from bridge.graph.changes.fold import folded
from bridge.graph.changes.inner import attributes_of, inner_graphs, renamed, without_invariants
from bridge.torch_side.writing.build import build


def evaluate(node: Node, values: list[Any], known: list[np.ndarray | None]) -> list[Any]:
    """A node's outputs for these inputs, of which those in `known` are constants."""
    return compiled(node, values, known)(values)


def compiled(node: Node, values: list[Any], known: list[np.ndarray | None]) -> Callable[[list[Any]], list[Any]]:
    """A function that gives a node's outputs for inputs like these, of which those in `known` are constants."""
    names = [f"in{i}" if name else "" for i, name in enumerate(node.inputs)]
    constants = {name: constant for name, constant in zip(names, known, strict=True) if constant is not None}
    free = [i for i, name in enumerate(names) if name and name not in constants]
    graph = Graph(
        "case",
        inputs=[_value(names[i], values[i]) for i in free],
        outputs=[Value(name, None) for name in node.outputs],
        nodes=[replace(node, inputs=names)],
        weights={},
        arrays={},
        constants=constants,
    )
    if not free:  # an operator that makes something of nothing has an input to say where
        graph.inputs = [Value("where", ())]
    module = build(graph)

    def run(values: list[Any]) -> list[Any]:
        result = module(*([values[i] for i in free] or [torch.zeros(())]))
        return [*result.values()] if isinstance(result, dict) else [result]

    return run


def _value(name: str, value: Any) -> Value:
    if isinstance(value, Tensor):
        return Value(name, tuple(value.shape), str(value.dtype).removeprefix("torch."))
    return Value(name, None, "sequence")


def nodes_of(model: onnx.ModelProto) -> list[Node]:
    return [Node(n.name, n.op_type, [*n.input], [*n.output], attributes=attributes_of(n)) for n in model.graph.node]


def graph_of(model: onnx.ModelProto, constants: dict[str, np.ndarray]) -> Graph:
    """The model as bridge's graph, as tracing would make it: these inputs, and what comes of them, are constants."""
    taken = {value.name for value in model.graph.input} | {n for node in model.graph.node for n in node.output}
    numbers = itertools.count()
    nodes = nodes_of(model)
    for node in nodes:
        node.attributes |= {
            name: renamed(inner, {}, lambda name: _free(name, taken, numbers))
            for name, inner in inner_graphs(node).items()
        }
    inputs = [_input(value) for value in model.graph.input if value.name not in constants]
    graph = Graph(
        name="model",
        inputs=inputs,
        outputs=[Value(value.name, None) for value in model.graph.output],
        nodes=nodes,
        weights={},
        arrays={},
        constants={t.name: numpy_helper.to_array(t) for t in model.graph.initializer} | constants,
        values={value.name: value for value in inputs},
    )
    opset = max(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
    return folded(without_invariants(graph), opset)


def _free(name: str, taken: set[str], numbers: Any) -> str:
    free = name
    while free in taken:
        free = f"{name}_{next(numbers)}"
    taken.add(free)
    return free


def _input(value: onnx.ValueInfoProto) -> Value:
    if value.type.WhichOneof("value") != "tensor_type":
        return Value(value.name, None, "sequence")
    return Value(value.name, tuple(d.dim_value for d in value.type.tensor_type.shape.dim))


def run_model(model: onnx.ModelProto, feeds: dict[str, Any], constants: set[str]) -> list[Any]:
    """A model's outputs; the feeds named in constants count as initializers."""
    graph = graph_of(model, {name: feeds[name] for name in constants})
    fixed = {value.name: graph.constants[value.name] for value in graph.outputs if value.name in graph.constants}
    names = [value.name for value in graph.outputs]
    graph.outputs = [value for value in graph.outputs if value.name not in fixed]
    found: dict[str, Any] = {}
    if graph.outputs:
        result = build(graph)(*(given(feeds[value.name]) for value in graph.inputs))
        found = result if isinstance(result, dict) else {graph.outputs[0].name: result}
    return [fixed[name] if name in fixed else plain(found[name]) for name in names]


def given(value: Any) -> Any:
    """What a module takes for it: sequences are lists, what is absent is None."""
    if isinstance(value, list):
        return [given(each) for each in value]
    return None if value is None else to_torch(value)


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(each) for each in value]
    return None if value is None else to_numpy(value)


def to_torch(array: np.ndarray) -> Tensor:
    array = np.array(array, order="C")
    if array.dtype.name == "bfloat16":  # a type that numpy borrows from ml_dtypes, which torch does not know
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Tensor) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return (
            tensor.detach().view(torch.int16).numpy().view(helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))
        )
    return tensor.detach().numpy()
