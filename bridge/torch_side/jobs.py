"""What the torch process does when asked: the jobs of `bridge.process.worker("torch_side")`.

`model` is everywhere the path of a bridge folder, whose model.safetensors counts, or of a layered .onnx file; `rules`
are the files with the user's own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from bridge.errors import BridgeError
from bridge.folder import read_graph
from bridge.graph import from_proto
from bridge.graph.own_layers import with_rules
from bridge.torch_side.run import in_double, precision, run
from bridge.torch_side.sizes import told_of_sizes
from bridge.torch_side.training.train import train_steps
from bridge.torch_side.writing import build
from bridge.torch_side.writing.plan import Unconvertible, make_plan
from bridge.torch_side.writing.source import class_source

Arrays = dict[str, np.ndarray]
Rules = Sequence[str]  # the files with the user's own rules


def job_refusals(proto: np.ndarray, rules: Rules = ()) -> dict[str, Any]:
    """{"refusals": [line]}: what of a serialized layered model can't become a torch module."""
    graph = from_proto(onnx.load_from_string(proto.tobytes()))
    graph = with_rules(graph, rules)
    try:
        class_source(make_plan(graph))
    except Unconvertible as error:
        return {"refusals": error.reasons}
    except BridgeError as error:
        return {"refusals": [str(error)]}
    return {"refusals": []}


def job_run(model: str, inputs: Arrays, double: bool = False, rules: Rules = ()) -> dict[str, Any]:
    """{"outputs": {name: array}} for these inputs. double: in float64, with the float32 weights' exact values."""
    module = _module(model, rules)
    with told_of_sizes(module, _tensors(module, inputs)):
        return {"outputs": run(module, inputs, double=double, given_up=True)}


def job_layers(model: str, inputs: Arrays, double: bool = False, rules: Rules = ()) -> dict[str, Any]:
    """{"layers": {name: array}}: what every node of the layered graph gives, by the node's name, in their order."""
    module = _module(model, rules)
    tensors = _tensors(module, inputs)
    kept = None
    if double:
        kept = in_double(module)
        tensors = [t.double() if t.is_floating_point() else t for t in tensors]
    with torch.no_grad(), precision(double, kept):
        values = build.taps(module, tensors)
    return {"layers": {name: tensor.detach().numpy() for name, tensor in values.items()}}


def job_gradients(
    model: str, inputs: Arrays, directions: Arrays, double: bool = False, rules: Rules = ()
) -> dict[str, Any]:
    """{"gradients": {weight: array}}: of sum(output * direction) over all outputs, in inference mode.

    Only weights that Keras trains, by their Keras paths and in Keras's layout; zeros where the outputs don't depend.
    double: in float64, with the float32 weights' exact values.
    """
    module = _module(model, rules)
    plan, given = build.plan_of(module), _tensors(module, inputs)
    if double:
        module, given = module.double(), [t.double() if t.is_floating_point() else t for t in given]
    with precision(double):
        result = module(*given)
    outputs = result if isinstance(result, dict) else {plan.graph.outputs[0].name: result}
    total = sum(((outputs[name] * torch.from_numpy(v)).sum() for name, v in directions.items()), torch.tensor(0.0))
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    parameters = dict(module.named_parameters())
    return {
        "gradients": {
            path: move.take.to_keras(_gradient(parameters[move.key]), move.weight.shape)
            for path, move in plan.moves.items()
            if move.weight.trainable and not move.weight.state
        }
    }


def job_train(
    model: str,
    optimizer: dict[str, Any],
    loss: str | dict[str, str],
    x: Arrays,
    y: np.ndarray | Arrays,
    batch: int = 32,
    steps: int | None = None,
    epochs: int = 1,
    rules: Rules = (),
) -> dict[str, Any]:
    """Trains as fine-tuning does, on the rows in their order: see train_steps; weights by Keras's paths."""
    module = _module(model, rules)
    done = train_steps(module, optimizer, loss, x, y, batch, steps, epochs)
    return done | {"weights": build.arrays_from(build.plan_of(module), module.state_dict())}


def _module(model: str, rules: Rules) -> nn.Module:
    path = Path(model)
    if path.is_dir():
        return build.load(path, rules)
    return build.build(with_rules(read_graph(path), rules)).eval()


def _tensors(module: nn.Module, inputs: Arrays) -> list[torch.Tensor]:
    names = [value.name for value in build.plan_of(module).graph.inputs]
    if set(names) != set(inputs):
        raise BridgeError(f"{type(module).__name__}: its inputs are {sorted(names)}, it was given {sorted(inputs)}.")
    return [torch.from_numpy(inputs[name]) for name in names]


def _gradient(parameter: nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


JOBS: dict[str, Callable[..., Any]] = {
    "refusals": job_refusals,
    "run": job_run,
    "layers": job_layers,
    "gradients": job_gradients,
    "train": job_train,
}
