"""From a layered graph to a live torch module, and back to Keras's weights."""

from __future__ import annotations

import ast
import itertools
import json
import linecache
import sys
import types
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.graph import Graph, from_proto, read_proto
from bridge.torch_side.plan import Plan, make_plan
from bridge.torch_side.source import class_name, class_source, own_things, taps_source

_plans: weakref.WeakKeyDictionary[type[nn.Module], Plan] = weakref.WeakKeyDictionary()
_numbers = itertools.count()
_MAP_BYTES = 64 << 20
_FORBIDDEN = {f"torch.{name}" for name in ("load", "save", "hub", "jit", "ops", "classes", "serialization", "utils")}


def build(graph: Graph) -> nn.Module:
    """The torch module of a layered graph with its weights, in training mode as torch's modules begin.

    Raises BridgeError for layers and operators that have no torch form.
    """
    plan = make_plan(graph)
    module = _compiled(plan)()
    module.load_state_dict(state_from(plan, graph.arrays), strict=True, assign=False)
    return module


def load(folder: str | Path) -> nn.Module:
    """The module of a bridge folder: the graph of its model.onnx, the weights of its model.safetensors.

    In evaluation mode. Nothing of the folder is executed; model.py is for people.
    """
    folder = Path(folder)
    graph = read_graph(folder)
    if (into := read_map(folder).get("into")) is not None:
        raise BridgeError(
            f"{folder}: its weights are in a module of your own, {str(into)[:60]}, which no file makes bridge run.\n"
            f"Use that class with model.safetensors, or bridge's own module from {folder / 'model.onnx'}."
        )
    module = build(graph)
    module.load_state_dict(read_state(folder / "model.safetensors", module), strict=True)
    return module.eval()


def read_graph(model: Path) -> Graph:
    """The layered graph of a bridge folder or of a layered .onnx file."""
    file = model / "model.onnx" if model.is_dir() else model
    return from_proto(read_proto(existing_file(file, "the model")), str(file))


def read_map(folder: Path) -> dict[str, Any]:
    """map.json of a bridge folder; empty where there is none. Raises BridgeError if it is damaged."""
    file = folder / "map.json"
    if not file.exists():
        return {}
    try:
        if file.stat().st_size > _MAP_BYTES:
            raise ValueError("it is too large")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BridgeError(f"{file}: can't be read: {str(error)[:100]}. Convert again.") from None
    if not isinstance(found, dict):
        raise BridgeError(f"{file}: is not a JSON object. Convert again.")
    return found


def read_state(file: Path, module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a safetensors file, checked against the module's names, shapes and types."""
    file = existing_file(file, "the weights")
    wanted = {key: (tuple(t.shape), t.dtype) for key, t in module.state_dict().items()}
    try:
        with safe_open(file, framework="pt") as opened:
            found = set(opened.keys())
            if found != set(wanted):
                lacks, extra = sorted(set(wanted) - found)[:5], sorted(found - set(wanted))[:5]
                raise BridgeError(
                    f"{file}: is for another model: lacks {lacks or 'none'}, has besides {extra or 'none'}."
                )
            state = {}
            for key, (shape, dtype) in wanted.items():
                if tuple(opened.get_slice(key).get_shape()) != shape:
                    there = tuple(opened.get_slice(key).get_shape())
                    raise BridgeError(f"{file}: {key} is {there}, the model wants {shape}.")
                state[key] = opened.get_tensor(key)
                if state[key].dtype != dtype:
                    raise BridgeError(f"{file}: {key} is of type {state[key].dtype}, the model wants {dtype}.")
            return state
    except SafetensorError as error:
        raise BridgeError(f"{file}: is not a safetensors file, or it is damaged: {str(error)[:200]}") from None


def plan_of(module: nn.Module) -> Plan:
    """The plan by which bridge built this module. Raises BridgeError for a module that it did not build."""
    plan = _plans.get(type(module))
    if plan is None:
        raise BridgeError(
            f"{type(module).__name__} was not built by bridge, so nobody knows which Keras weights its own came from.\n"
            "Build it with bridge.load(DIR) or bridge.keras2torch(MODEL)."
        )
    return plan


def state_from(plan: Plan, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The state_dict for Keras's weights, by path."""
    state = {move.key: move.take.to_torch(arrays[path]) for path, move in plan.moves.items()}
    for value, name in plan.constants.items():
        state[".".join(name)] = torch.from_numpy(np.array(plan.graph.constants[value]))
    return state


def arrays_from(plan: Plan, state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Keras's weights, by path, from a state_dict: the inverse of `state_from`, bit for bit."""
    return {path: move.take.to_keras(state[move.key], move.weight.shape) for path, move in plan.moves.items()}


def graph_of(module: nn.Module) -> Graph:
    """The layered graph with the weights that the module has now."""
    plan = plan_of(module)
    return replace(plan.graph, arrays=arrays_from(plan, module.state_dict()))


def taps(module: nn.Module, inputs: list[Tensor]) -> dict[str, Tensor]:
    """What every node gives for these inputs, by the node's name (`dense_1`, `dense_1/linear`)."""
    plan = plan_of(module)
    values: dict[str, Tensor] = _run(taps_source(plan), plan)["taps"](module, *inputs)
    return values


def _compiled(plan: Plan) -> type[nn.Module]:
    kind: type[nn.Module] = _run(class_source(plan), plan)[class_name(plan)]
    _plans[kind] = plan
    return kind


def _run(source: str, plan: Plan) -> dict[str, Any]:
    """Executes source that bridge wrote, after proving that it can only do arithmetic on tensors."""
    names = {thing.__name__: thing for thing in own_things(plan)}
    _check(source, set(names))
    file = f"<bridge {plan.graph.name} {next(_numbers)}>"
    linecache.cache[file] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        file,
    )  # for tracebacks and torch.compile
    module = types.ModuleType(f"bridge_model_{next(_numbers)}")
    sys.modules[module.__name__] = module  # where torch.compile looks for the functions that the class calls
    module.__dict__.update({"torch": torch, "nn": nn, "F": F, "Tensor": Tensor, **names})
    exec(compile(source, file, "exec"), module.__dict__)
    return module.__dict__


def _check(source: str, names: set[str]) -> None:
    """A second wall behind `literal`: the names of a model file can't make this source do anything but its job."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Lambda | ast.Global | ast.Nonlocal):
            raise AssertionError(f"unexpected in a model's source: {ast.unparse(node)}")
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and node.attr != "__init__":
            raise AssertionError(f"unexpected in a model's source: {ast.unparse(node)}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            allowed = {*names, "super", "float", "tuple"}
            if node.func.id not in allowed:
                raise AssertionError(f"unexpected in a model's source: {ast.unparse(node)}")
        if isinstance(node, ast.Attribute) and ast.unparse(node) in _FORBIDDEN:
            raise AssertionError(f"unexpected in a model's source: {ast.unparse(node)}")
