"""A run that goes on: what it must share with the one before, its state to keep, and its state brought back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bridge.graph.stored import pieces
from bridge.torch_side.tensors import InFile, in_memory
from bridge.torch_side.training import checkpoint as checkpoints
from bridge.torch_side.training.checkpoint import Checkpoint, Tensors, damaged
from bridge.torch_side.training.feed import Rows
from bridge.torch_side.training.history import History
from bridge.torch_side.training.objective import Objective
from bridge.torch_side.training.optimizers import KerasOptimizer

LARGE = 1 << 30  # bytes from which on the best epoch's weights are kept in the checkpoint, not in memory


class Best:
    """The weights of the epoch with the lowest `key` so far, as far as training changes them.

    folder: where the run's checkpoint is; what is large is kept there alone, once it has been written.
    """

    def __init__(self, key: str, folder: Path | None = None):
        self.key, self.value, self.epoch, self.folder = key, float("inf"), 0, folder
        self.state: Tensors = {}

    def see(self, module: nn.Module, row: dict[str, float]) -> int:
        """Takes the weights if the epoch is better; returns the number of the best epoch."""
        if row[self.key] < self.value or not self.state:
            self.value, self.epoch = row[self.key], int(row["epoch"])
            own = changing(module)
            in_file = self.folder is not None and _is_large(own)
            # the module's own until they have been written, before the next step changes them
            self.state = dict(own) if in_file else {name: value.detach().clone() for name, value in own.items()}
        return self.epoch

    def keep(self, state: Tensors, file: Path) -> None:
        """Takes the weights of a checkpoint, `file`, which has been written or read: the large ones stay there."""
        if _is_large(state):
            self.state = {n: InFile(file, f"best/{n}", tuple(v.shape), v.dtype) for n, v in state.items()}
        else:
            self.state = {name: in_memory(value) for name, value in state.items()}

    def give(self, module: nn.Module) -> None:
        """Gives the module these weights; what they lack of it is frozen."""
        own = module.state_dict()
        with torch.no_grad():
            for name, value in self.state.items():
                own[name].copy_(in_memory(value))


def _is_large(state: Mapping[str, Tensor | InFile]) -> bool:
    return sum(value.numel() * value.element_size() for value in state.values()) > LARGE


def changing(module: nn.Module) -> dict[str, torch.Tensor]:
    """Of the state_dict what training may change: all but the frozen parameters."""
    frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def frozen_checksum(module: nn.Module) -> int:
    """Of the frozen parameters, which a resumed run takes from its model and not from the state."""
    found = 0
    for parameter in module.parameters():
        if not parameter.requires_grad:
            for piece in pieces(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()):
                found = zlib.crc32(piece, found)
    return found


def settings(stepper: KerasOptimizer, objective: Objective, module: nn.Module, keeper: Best) -> dict[str, Any]:
    """What decides where the training goes, beside its data: JSON values."""
    options = {key: value for key, value in stepper.param_groups[0].items() if key in {**stepper.defaults, "lr": 0}}
    options.pop("iterations")
    return {
        "optimizer": {"name": type(stepper).__name__, **options},
        "loss": objective.loss_name,
        "best epoch by": keeper.key,
        "trained parameters": {n: list(p.shape) for n, p in module.named_parameters() if p.requires_grad},
        "frozen layers": [name for name, part in module.named_modules() if getattr(part, "frozen", False) is True],
    }


def checksum(data: Rows) -> int:
    """Of all inputs and targets, as they are fed: another scale gives another number."""
    found = 0
    for column in (*data.inputs, *data.targets):
        for rows in column.split(1 << 16):  # a memory-mapped array is read piece by piece
            found = zlib.crc32(np.ascontiguousarray(rows.cpu().numpy()).tobytes(), found)
    return found


def saved(
    module: nn.Module, stepper: KerasOptimizer, history: History, keeper: Best, device: torch.device
) -> Checkpoint:
    """The state of a run after an epoch."""
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    group = stepper.param_groups[0]
    return Checkpoint(
        module=dict(changing(module)),
        best=keeper.state,
        optimizer={f"{i}.{s}": t for i, p in enumerate(group["params"]) for s, t in stepper.state[p].items()},
        random=random,
        facts={
            "settings": history.settings,
            "rows": history.rows,
            "best": history.best,
            "iterations": group["iterations"],
        },
    )


def restore(
    state: Checkpoint, folder: Path, module: nn.Module, stepper: KerasOptimizer, history: History, keeper: Best
) -> None:
    """Puts a run where `saved` found it. Raises BridgeError if the state is not that of such a run."""
    group = stepper.param_groups[0]
    own = changing(module)
    slots = {f"{i}.{slot}": p for i, p in enumerate(group["params"]) for slot in stepper.slots_for(group)}
    random, device = {"cpu": torch.get_rng_state()}, group["params"][0].device
    if "cuda" in state.random and device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    found_random = {name: value for name, value in state.random.items() if name in random}
    sections = {"module": (state.module, own), "best": (state.best, own), "optimizer": (state.optimizer, slots)}
    for section, (found, wanted) in (sections | {"random": (found_random, random)}).items():
        if wrong := _differing(found, wanted):
            raise damaged(folder, f"its {section} is not that of this network: {wrong}")
    if any(keeper.key not in row for row in state.facts["rows"]):
        raise damaged(folder, f"an epoch of it has no {keeper.key}")
    for name, value in state.module.items():  # the rest is frozen
        own[name].copy_(in_memory(value))
    group["iterations"] = state.facts["iterations"]
    for key, value in state.optimizer.items():
        param, slot = slots[key], key.partition(".")[2]
        stepper.state[param][slot] = torch.empty_like(param, memory_format=torch.preserve_format).copy_(
            in_memory(value)
        )
    history.rows, history.best = state.facts["rows"], state.facts["best"]
    keeper.epoch = history.best
    keeper.keep(state.best, folder / checkpoints.NAME)
    keeper.value = history.rows[history.best - 1][keeper.key]
    torch.set_rng_state(in_memory(state.random["cpu"]))
    if "cuda" in random:
        torch.cuda.set_rng_state(in_memory(state.random["cuda"]), device)


def _differing(found: Tensors, wanted: Mapping[str, Tensor]) -> str:
    """The first tensor that is missing, one too many, or of another shape or type; "" if there is none."""
    for name in wanted:
        if name not in found:
            return f"{name} is missing"
        a, b = found[name], wanted[name]
        if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
            return f"{name} is {tuple(a.shape)} {a.dtype}, not {tuple(b.shape)} {b.dtype}"
    extra = [name for name in found if name not in wanted]
    return f"{extra[0]} is too much" if extra else ""
