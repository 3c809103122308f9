"""A training run's state after an epoch, in one file that is there whole or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch

from bridge.errors import BridgeError
from bridge.files import existing_file, inside, whole_file
from bridge.torch_side import tensors

NAME = "checkpoint.safetensors"
SECTIONS = ("module", "best", "optimizer", "random")


Tensors = dict[str, torch.Tensor | tensors.InFile]


@dataclass
class Checkpoint:
    """module, best: of the state_dict what training changes. random: generator states.

    optimizer: "0.momentum" for the first parameter's slot. What `read` gives is read when it is asked for.
    facts: JSON values: the epoch, the history, and the settings that a resumed run must share.
    """

    module: Tensors
    best: Tensors
    optimizer: Tensors
    random: Tensors
    facts: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Replaces the folder's checkpoint at once."""
        held = {f"{section}/{name}": value for section in SECTIONS for name, value in getattr(self, section).items()}
        folder.mkdir(exist_ok=True)
        with whole_file(folder / NAME, force=True) as part:
            tensors.write(held, part, {"bridge": json.dumps(self.facts)})


def remove(folder: Path) -> None:
    """Deletes the folder's checkpoint, and the folder if nothing of the user's is in it."""
    (folder / NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or not there
        folder.rmdir()


def read(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint; None if it has none. Raises BridgeError if the file is broken or foreign."""
    path = inside(folder, NAME, folder)
    if not path.exists():
        return None
    existing_file(path, "the state of the run")
    sections: dict[str, Tensors] = {section: {} for section in SECTIONS}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = _facts((file.metadata() or {})["bridge"])
            for key in file.keys():  # noqa: SIM118 (not a dict)
                section, _, name = key.partition("/")
                listed = file.get_tensor(key)  # maps it, and reads nothing yet
                sections[section][name] = tensors.InFile(path, key, tuple(listed.shape), listed.dtype)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise damaged(folder, str(error)) from None
    return Checkpoint(**sections, facts=facts)


def damaged(folder: Path, reason: str) -> BridgeError:
    """The error for a checkpoint that can't be what `Checkpoint.write` wrote."""
    what = f"is not a checkpoint of bridge, or is damaged ({reason[:200]})"
    return BridgeError(f"{folder / NAME}: {what}.\nTrain again without --resume.")


def _facts(text: str) -> dict[str, Any]:
    """The facts, checked. Raises ValueError."""
    facts = json.loads(text)
    if not isinstance(facts, dict) or set(facts) != {"settings", "rows", "best", "iterations"}:
        raise ValueError("its facts are not those of a run")
    rows, best = facts["rows"], facts["best"]
    if not isinstance(facts["settings"], dict) or type(facts["iterations"]) is not int or facts["iterations"] < 0:
        raise ValueError("its settings or its steps can't be read")
    if not isinstance(rows, list) or not rows or not all(_is_row(row, number) for number, row in enumerate(rows, 1)):
        raise ValueError("its epochs can't be read")
    if type(best) is not int or not 1 <= best <= len(rows):
        raise ValueError(f"its best epoch is {best!r} of {len(rows)}")
    return facts


def _is_row(row: Any, number: int) -> bool:
    numbers = isinstance(row, dict) and all(type(value) in (int, float) for value in row.values())
    return numbers and row.get("epoch") == number and row.keys() >= {"loss"}


def check_same(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises BridgeError if a resumed run was asked for something else than the one that it continues."""
    for key in now:
        before, wanted = then.get(key), json.loads(json.dumps(now[key]))
        if before != wanted:
            if isinstance(before, dict) and isinstance(wanted, dict):  # an optimizer: its options that differ
                differing = {k for k in {**before, **wanted} if before.get(k) != wanted.get(k)}
                before, wanted = ({k: v for k, v in each.items() if k in differing} for each in (before, wanted))
            raise BridgeError(
                f"{folder / NAME}: {key} was {_short(before)} in that run and is {_short(wanted)} now.\n"
                "Resume with what the run began with, or train again without --resume."
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
