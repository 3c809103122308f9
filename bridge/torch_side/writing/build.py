"""From a layered graph to a live torch module, and back to Keras's weights."""

from __future__ import annotations

import itertools
import linecache
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.errors import BridgeError
from bridge.folder import read_graph, refuse_own_module, weights_of
from bridge.graph import Graph
from bridge.graph.body import UNREADABLE
from bridge.graph.own_layers import with_rules
from bridge.graph.stored import Arrays
from bridge.keras_side.source import Paths
from bridge.torch_side.tensors import Tensors
from bridge.torch_side.writing.allowed import check
from bridge.torch_side.writing.own_rules import check_own
from bridge.torch_side.writing.plan import Move, Plan, make_plan
from bridge.torch_side.writing.source import class_source, taps_source
from bridge.torch_side.writing.source_copies import own_things
from bridge.torch_side.writing.source_names import class_name

_plans: weakref.WeakKeyDictionary[type[nn.Module], Plan] = weakref.WeakKeyDictionary()
_taps: weakref.WeakKeyDictionary[type[nn.Module], Callable[..., dict[str, Tensor]]] = weakref.WeakKeyDictionary()
_numbers = itertools.count()


def build(graph: Graph) -> nn.Module:
    """The torch module of a layered graph with its weights, in training mode as torch's modules begin.

    Raises BridgeError for layers and operators that have no torch form.
    """
    plan = make_plan(graph)
    module = _made(plan)
    own = module.state_dict()
    for path, move in plan.moves.items():
        move.take.fill(own.pop(move.key), graph.arrays[path])
    for value, name in plan.constants.items():
        own.pop(".".join(name)).copy_(_tensor(graph.constants[value]))
    assert not own, f"tensors that nothing fills: {', '.join(own)}"
    return module


def _made(plan: Plan) -> nn.Module:
    try:
        module = _compiled(plan)()
    except UNREADABLE as error:  # torch's own modules check what they are made with
        said = f"{type(error).__name__}: {str(error)[:120]}"
        raise BridgeError(f"{plan.graph.name}: a layer's config can't be read ({said}).") from error
    check_own(module, plan)
    return module


def load(folder: str | Path, rules: Paths = ()) -> nn.Module:
    """The module of a bridge folder: the graph of its model.onnx, the weights of its model.safetensors.

    rules: files with the user's own rules. In evaluation mode. Nothing of the folder is executed; model.py is for
    people.
    """
    folder = Path(folder)
    graph = with_rules(read_graph(folder), rules)
    refuse_own_module(folder)
    plan, state = _opened(folder, graph)
    module = _made(plan)
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            tensor.copy_(state[key])
    return module.eval()


def folder_graph(folder: Path, rules: Paths = ()) -> Graph:
    """The layered graph of a bridge folder with the weights of its model.safetensors, read when they are asked for."""
    graph = with_rules(read_graph(folder), rules)
    refuse_own_module(folder)
    return with_state(*_opened(folder, graph))


def _opened(folder: Path, graph: Graph) -> tuple[Plan, Tensors]:
    """The plan of a bridge folder's module, and its model.safetensors, which has been held against it."""
    plan = make_plan(graph)
    state = Tensors(weights_of(folder))
    state.check(wanted(plan))
    return plan, state


def wanted(plan: Plan) -> dict[str, tuple[tuple[int, ...], str]]:
    """The state_dict that a plan's module has: the shape and the type of each tensor."""
    found = {move.key: (move.shape, move.weight.dtype) for move in plan.moves.values()}
    constants = {".".join(name): plan.graph.constants[value] for value, name in plan.constants.items()}
    return found | {key: (array.shape, array.dtype.name) for key, array in constants.items()}


def plan_of(module: nn.Module) -> Plan:
    """The plan by which bridge built this module. Raises BridgeError for a module that it did not build."""
    plan = _plans.get(type(module))
    if plan is None:
        raise BridgeError(
            f"{type(module).__name__} was not built by bridge, so nobody knows which Keras weights its own came from.\n"
            "Build it with bridge.load(DIR) or bridge.keras2torch(MODEL)."
        )
    return plan


def is_built(module: nn.Module) -> bool:
    """Whether bridge built this module."""
    return type(module) in _plans


def state_from(plan: Plan, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
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


def arrays_from(plan: Plan, state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Keras's weights, by path, from a state_dict: the inverse of `state_from`, bit for bit."""
    return {path: move.take.to_keras(state[move.key], move.weight.shape) for path, move in plan.moves.items()}


def graph_of(module: nn.Module) -> Graph:
    """The layered graph with the module's weights as they are when they are asked for."""
    return with_state(plan_of(module), module.state_dict())


def with_state(plan: Plan, state: Mapping[str, Tensor]) -> Graph:
    """The layered graph of a plan with the weights of a state_dict, read when they are asked for."""

    def reader(move: Move) -> Callable[[], np.ndarray]:
        return lambda: move.take.seen(state[move.key], move.weight.shape)

    return replace(plan.graph, arrays=Arrays({path: reader(move) for path, move in plan.moves.items()}))


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
