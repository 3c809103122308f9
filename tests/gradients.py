"""A forward and a backward pass of a recorded case in torch, and how far two such passes are apart."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from recording import Recording, named, tensors
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bridge.torch_side.run import precision
from bridge.torch_side.writing.build import arrays_from, plan_of

Arrays = dict[str, np.ndarray]


def passes(
    recording: Recording, mode: str, double: bool = False, around: Any = None, device: str | None = None
) -> Arrays:
    """Outputs, losses, gradients of sum(outputs * factors) + losses by every weight that is trained and every float
    input, and the weights after the forward pass, by keras_recorder.step's names for them.
    """
    module = recording.module().train(mode == "train").to(device)
    inputs = recording.under("x")
    given = [t.to(device) for t in tensors(inputs)]
    if double:
        module, given = module.double(), [t.double() if t.is_floating_point() else t for t in given]
    plan = plan_of(module)
    given = [t.requires_grad_(t.is_floating_point()) for t in given]
    with precision(double), around or contextlib.nullcontext():
        found = named(module(*given), plan.graph)
        losses = module.penalty() if hasattr(module, "penalty") else given[0].new_zeros(())
    factors = {name: torch.from_numpy(array).to(device) for name, array in recording.under("factor").items()}
    total = sum((y * factors[name]).sum() for name, y in found.items()) + losses
    sources = {f"input/{name}": t for name, t in zip(inputs, given, strict=True) if t.requires_grad}
    state = dict(module.named_parameters())
    for path, move in plan.moves.items():
        if move.key in state and state[move.key].requires_grad:
            sources[f"weight/{path}"] = state[move.key]
    values = (
        torch.autograd.grad(total, list(sources.values()), allow_unused=True, materialize_grads=True)
        if total.requires_grad
        else [torch.zeros_like(s) for s in sources.values()]
    )
    result = {f"y/{name}": y.detach().cpu().numpy() for name, y in found.items()} | {
        "losses": losses.detach().cpu().numpy()
    }
    for (name, _), gradient in zip(sources.items(), values, strict=True):
        kind, path = name.split("/", 1)
        move = plan.moves.get(path)
        gradient = gradient.cpu()
        array = move.take.to_keras(gradient, move.weight.shape) if kind == "weight" else gradient.numpy()
        result[f"gradient/{name}"] = array
    return result | {f"after/{path}": a for path, a in arrays_from(plan, module.state_dict()).items()}


def apart(found: Arrays, expected: Arrays) -> dict[str, tuple[float, str]]:
    """For outputs, losses, gradients and weights: the largest difference relative to the scale, and where it is.

    Gradients have one scale for all: what stands before a normalization has a gradient of zero but for rounding.
    """
    assert set(found) == set(expected)
    scale = max(
        (float(np.abs(a).max()) for n, a in expected.items() if n.startswith("gradient/") and a.size), default=0
    )
    worst: dict[str, tuple[float, str]] = {}
    for name, array in expected.items():
        assert found[name].shape == array.shape, f"{name}: {found[name].shape} for {array.shape}"
        kind = name.partition("/")[0]
        difference = np.abs(found[name].astype(np.float64) - array).max() if array.size else 0.0
        own = float(np.abs(array).max()) if array.size else 1.0
        relative = float(difference / ((scale if kind == "gradient" else own) or 1.0))
        assert not np.isnan(relative), name
        worst[kind] = max(worst.get(kind, (0.0, "")), (relative, name))
    return worst


class Decisions(TorchFunctionMode):
    """Notes which way each ReLU and each max pooling decided, or makes them decide in the way that was noted.

    A ReLU's input, or the difference of two pooled values, that is zero but for rounding is decided by it; from there
    on the gradient takes another way. What differs with the same decisions differs by rounding alone.
    """

    def __init__(self, noted: list[torch.Tensor] | None = None):
        super().__init__()
        self.noted: list[torch.Tensor] = []
        self._repeat = None if noted is None else iter(noted)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.relu:
            return self._piece(args[0], 0.0, float("inf"))
        if func in (F.relu6, F.hardtanh):
            return self._piece(args[0], 0.0, 6.0)
        if func is F.max_pool2d:
            return self._pooled(*args, **kwargs)
        return func(*args, **kwargs)

    def _piece(self, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        """0: below, 1: between, 2: above."""
        piece = next(self._repeat) if self._repeat else (x > low).int() + (x >= high).int()
        self.noted.append(piece)
        return torch.where(piece == 1, x, torch.where(piece == 0, low, high).to(x.dtype).nan_to_num(posinf=0.0))

    def _pooled(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        chosen = next(self._repeat) if self._repeat else F.max_pool2d(x, *args, **kwargs | {"return_indices": True})[1]
        self.noted.append(chosen)
        return x.flatten(2).gather(2, chosen.flatten(2)).view(chosen.shape)
