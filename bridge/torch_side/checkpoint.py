"""A training run's state after an epoch, in one file that is there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file

from bridge.errors import BridgeError
from bridge.files import whole_file

NAME = "checkpoint.safetensors"
SECTIONS = ("module", "best", "optimizer", "random")


@dataclass
class Checkpoint:
    """module, best: state_dicts. optimizer: "0.momentum" for the first parameter's slot. random: generator states.

    facts: JSON values: the epoch, the history, and the settings that a resumed run must share.
    """

    module: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    random: dict[str, torch.Tensor]
    facts: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Replaces the folder's checkpoint at once."""
        tensors = {
            f"{section}/{name}": value.detach().cpu().contiguous().clone()  # safetensors refuses shared memory
            for section in SECTIONS
            for name, value in getattr(self, section).items()
        }
        folder.mkdir(exist_ok=True)
        with whole_file(folder / NAME, force=True) as part:
            save_file(tensors, part, metadata={"bridge": json.dumps(self.facts)})


def read(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint; None if it has none. Raises BridgeError if the file is broken or foreign."""
    path = folder / NAME
    if not path.is_file():
        return None
    sections: dict[str, dict[str, torch.Tensor]] = {section: {} for section in SECTIONS}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["bridge"])
            for key in file.keys():  # noqa: SIM118 (not a dict)
                section, _, name = key.partition("/")
                sections[section][name] = file.get_tensor(key)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise BridgeError(
            f"{path}: is not a checkpoint of bridge, or is damaged ({error}).\nTrain again without --resume."
        ) from None
    return Checkpoint(**sections, facts=facts)


def check_same(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises BridgeError if a resumed run was asked for something else than the one that it continues."""
    for key in now:
        if json.loads(json.dumps(now[key])) != then.get(key):
            raise BridgeError(
                f"{folder / NAME}: {key} was {_short(then.get(key))} in that run and is {_short(now[key])} now.\n"
                "Resume with what the run began with, or train again without --resume."
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
