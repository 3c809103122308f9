"""Freezing parts of a network the way Keras's `layer.trainable = False` does."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import torch
from torch import nn

from bridge.errors import BridgeError


def freeze(module: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Freezes what matches the patterns (`dense*`, `encoder.*`): parameters by name, whole submodules by path.

    A frozen submodule is marked by `frozen = True`, so that `train_mode` keeps a frozen BatchNorm in inference mode.
    Returns the names of all the parameters that are frozen now. Raises BridgeError if a pattern matches nothing.
    """
    modules = {path: part for path, part in module.named_modules() if path}
    params = dict(module.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        parts = [part for path, part in modules.items() if fnmatchcase(path, pattern)]
        names = [name for name in params if fnmatchcase(name, pattern)]
        if not parts and not names:
            there = ", ".join(list(dict.fromkeys(name.rpartition(".")[0] or name for name in params))[:20])
            raise BridgeError(f"freeze: {pattern!r} matches no layer and no parameter.\nThere are: {there}.")
        for part in parts:
            for inner in part.modules():
                inner.frozen = True  # type: ignore[assignment]
            part.requires_grad_(False)
        for name in names:
            params[name].requires_grad_(False)
    return [name for name, param in module.named_parameters() if not param.requires_grad]


def train_mode(module: nn.Module) -> None:
    """`module.train()`, but frozen parts that keep running statistics stay in inference mode, as in Keras.

    Frozen is what `freeze` marked, or what has parameters of its own, none of them trainable.
    """
    module.train()
    for part in module.modules():
        if isinstance(getattr(part, "running_mean", None), torch.Tensor):
            own = list(part.parameters(recurse=False))
            if getattr(part, "frozen", False) or (own and not any(p.requires_grad for p in own)):
                part.eval()
