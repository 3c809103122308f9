"""Running a module on numpy arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


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
    with torch.no_grad():
        result = module(*tensors)
    module.train(training)
    named = result if isinstance(result, dict) else {plan.graph.outputs[0].name: result}
    return {name: tensor.cpu().numpy() for name, tensor in named.items()}
