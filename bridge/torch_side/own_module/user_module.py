"""`--into FILE.py:Class`: the user's own torch module, made and called."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bridge import user_code
from bridge.errors import BridgeError


class UserModule:
    """The user's module in evaluation mode, whose faults become messages that name its file and line."""

    def __init__(self, spec: str):
        self.label = f"--into {spec}"
        self.file, name = split(spec)
        module = user_code.make(self.file, name, self.label, _is_listed, "your module")
        if not isinstance(module, nn.Module):
            raise BridgeError(f"{self.label}: gives {user_code.described(module)}, expected a torch.nn.Module.")
        self.module: nn.Module = module.cpu().eval()

    def __call__(self, inputs: dict[str, np.ndarray]) -> Any:
        """What forward returns for the inputs of a Keras model, given by name where it has these names, else in order.

        Raises BridgeError with the line of the user's file if it raises.
        """
        precise = any(p.dtype == torch.float64 for p in self.module.parameters())
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}
        if precise:
            tensors = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
        with torch.no_grad(), user_code.faults(self.file, f"{self.label}: forward of {_described(tensors)}"):
            if set(tensors) <= set(inspect.signature(self.module.forward).parameters):
                return self.module(**tensors)
            return self.module(*tensors.values())

    def calls(self, inputs: dict[str, np.ndarray]) -> list[str]:
        """The names of the submodules in the order of their first call."""
        names: dict[str, None] = {}

        def note(name: str, _module: nn.Module, _inputs: Any) -> None:
            names.setdefault(name)

        hooks = [m.register_forward_pre_hook(partial(note, name)) for name, m in self.module.named_modules()]
        try:
            self(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return list(names)

    def results(self, inputs: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """What each submodule gave at its first call, by name."""
        values: dict[str, Tensor] = {}

        def keep(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
            values.setdefault(name, output)

        hooks = [m.register_forward_hook(partial(keep, name)) for name, m in self.module.named_modules()]
        try:
            self(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def split(spec: str) -> tuple[Path, str]:
    """FILE.py:Class into the path and the name."""
    found = user_code.split(spec)
    if found is None:
        raise BridgeError(f"--into {spec}: expected FILE.py:Class, or FILE.py:function that makes the module.")
    return found


def _is_listed(item: Any) -> bool:
    return inspect.isfunction(item) or (inspect.isclass(item) and issubclass(item, nn.Module))


def _described(tensors: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
