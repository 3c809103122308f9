"""From a layered graph to a live torch module, and back to Keras's weights."""

from __future__ import annotations

import itertools
import linecache
import sys
import types
import weakref
from collections.abc import Callable
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
from bridge.folder import read_graph, refuse_own_module, weights_of
from bridge.graph import Graph
from bridge.graph.body import UNREADABLE
from bridge.graph.own_layers import with_rules
from bridge.keras_side.source import Paths
from bridge.torch_side.allowed import check
from bridge.torch_side.own_rules import check_own
from bridge.torch_side.plan import Plan, make_plan
from bridge.torch_side.source import class_name, class_source, own_things, taps_source

_plans: weakref.WeakKeyDictionary[type[nn.Module], Plan] = weakref.WeakKeyDictionary()
_taps: weakref.WeakKeyDictionary[type[nn.Module], Callable[..., dict[str, Tensor]]] = weakref.WeakKeyDictionary()
_numbers = itertools.count()


def build(graph: Graph) -> nn.Module:
    """The torch module of a layered graph with its weights, in training mode as torch's modules begin.

    Raises BridgeError for layers and operators that have no torch form.
    """
    plan = make_plan(graph)
    try:
        module = _compiled(plan)()
    except UNREADABLE as error:  # torch's own modules check what they are made with
        said = str(error)[:120]
        raise BridgeError(f"{graph.name}: a layer's config can't be read ({type(error).__name__}: {said}).") from error
    check_own(module, plan)
    module.load_state_dict(state_from(plan, graph.arrays), strict=True, assign=False)
    return module


def load(folder: str | Path, rules: Paths = ()) -> nn.Module:
    """The module of a bridge folder: the graph of its model.onnx, the weights of its model.safetensors.

    rules: files with the user's own rules. In evaluation mode. Nothing of the folder is executed; model.py is for
    people.
    """
    folder = Path(folder)
    graph = with_rules(read_graph(folder), rules)
    refuse_own_module(folder)
    module = build(graph)
    module.load_state_dict(read_state(weights_of(folder), module), strict=True)
    return module.eval()


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
        state[".".join(name)] = _tensor(plan.graph.constants[value])
    return state


def _tensor(array: np.ndarray) -> Tensor:
    array = np.array(array)
    if array.dtype.name == "bfloat16":  # a type that numpy borrows and torch does not take from it
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def arrays_from(plan: Plan, state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Keras's weights, by path, from a state_dict: the inverse of `state_from`, bit for bit."""
    return {path: move.take.to_keras(state[move.key], move.weight.shape) for path, move in plan.moves.items()}


def graph_of(module: nn.Module) -> Graph:
    """The layered graph with the weights that the module has now."""
    plan = plan_of(module)
    return replace(plan.graph, arrays=arrays_from(plan, module.state_dict()))


def taps(module: nn.Module, inputs: list[Tensor]) -> dict[str, Tensor]:
    """What every node gives for these inputs, by the node's name (`dense_1`, `dense_1/linear`)."""
    kind = type(module)
    if kind not in _taps:
        _taps[kind] = _run(taps_source(plan_of(module)), plan_of(module), kind)["taps"]
    values: dict[str, Tensor] = _taps[kind](module, *inputs)
    return values


def _compiled(plan: Plan) -> type[nn.Module]:
    name = class_name(plan)
    scope = _run(class_source(plan), plan)
    kind: type[nn.Module] = scope.pop(name)  # the scope is in sys.modules and must not keep the class alive
    _plans[kind] = plan
    _forget_with(kind, scope)
    return kind


def _run(text: str, plan: Plan, owner: type[nn.Module] | None = None) -> dict[str, Any]:
    """Executes source that bridge wrote, after a check that it can only do arithmetic on tensors.

    owner: what the result belongs to, and is forgotten with.
    """
    names = {thing.__name__: thing for thing in own_things(plan)}
    own = {word for name in [*plan.modules, *plan.free.values(), *plan.constants.values()] for word in name}
    own |= {method.name for method in plan.methods}
    kinds = {thing.__name__ for part in plan.modules.values() if part.module for thing in part.module.things}
    words = own | kinds | {word for move in plan.moves.values() for word in move.key.split(".")}
    check(text, set(names), words, plan.graph.rules.text if plan.graph.rules else "")
    scope = types.ModuleType(f"bridge_model_{next(_numbers)}")
    sys.modules[scope.__name__] = scope  # where torch.compile looks for the functions that the class calls
    # for tracebacks and torch.compile
    linecache.cache[scope.__name__] = (len(text), None, text.splitlines(keepends=True), scope.__name__)
    scope.__dict__.update({"torch": torch, "nn": nn, "F": F, "Tensor": Tensor, **names})
    exec(compile(text, scope.__name__, "exec"), scope.__dict__)
    if owner is not None:
        _forget_with(owner, scope.__dict__)
    return scope.__dict__


def _forget_with(kind: type[nn.Module], scope: dict[str, Any]) -> None:
    weakref.finalize(kind, _forget, scope["__name__"])


def _forget(name: str) -> None:
    sys.modules.pop(name, None)
    linecache.cache.pop(name, None)
