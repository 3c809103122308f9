"""Running a module on numpy arrays."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _InDouble(TorchFunctionMode):
    """What makes float32 of a tensor, as a model does with bytes, or a new one, as its first state, makes float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.to:
            args = tuple(torch.float64 if arg is torch.float32 else arg for arg in args)
        elif func is torch.full and args[0] and kwargs.get("dtype") is torch.float32:
            kwargs = {**kwargs, "dtype": torch.float64}
        return (Tensor.double if func is Tensor.float else func)(*args, **kwargs)


def precision(double: bool) -> contextlib.AbstractContextManager[Any]:
    """The context in which, if `double`, a module with float64 parameters computes in float64 whatever comes in."""
    return _InDouble() if double else contextlib.nullcontext()


def run(module: nn.Module, inputs: dict[str, np.ndarray], *, double: bool = False) -> dict[str, np.ndarray]:
    """The module's outputs in evaluation mode, by output name. inputs: by name, (rows, ...).

    double: in float64, on a copy of the module.
    """
    from bridge.torch_side.build import plan_of

    if double:
        from copy import deepcopy

        module = deepcopy(module).double()
    plan, training = plan_of(module), module.training
    device = next(module.parameters(), torch.empty(0)).device
    tensors = [torch.from_numpy(np.ascontiguousarray(inputs[value.name])).to(device) for value in plan.graph.inputs]
    if double:
        tensors = [t.double() if t.is_floating_point() else t for t in tensors]
    module.eval()
    with torch.no_grad(), precision(double):
        result = module(*tensors)
    module.train(training)
    named = result if isinstance(result, dict) else {plan.graph.outputs[0].name: result}
    return {name: tensor.cpu().numpy() for name, tensor in named.items()}
