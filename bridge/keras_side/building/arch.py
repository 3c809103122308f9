"""`--arch FILE.py:function`: the user's own code that builds the model."""

from __future__ import annotations

import inspect
from pathlib import Path

import keras

from bridge import user_code
from bridge.errors import BridgeError
from bridge.keras_side.examples import remembered


def split(arch: str) -> tuple[Path, str | None]:
    """FILE.py:function or FILE.json into the path and the function's name."""
    if arch.lower().endswith(".json"):
        return Path(arch), None
    found = user_code.split(arch)
    if found is None:
        raise BridgeError(f"--arch {arch}: expected FILE.py:function or a .json file written by model.to_json().")
    return found


def build(file: Path, function: str) -> keras.Model:
    """Calls `function` of `file`, which must return a built keras.Model."""
    label = f"--arch {file}:{function}"
    with remembered():
        model = user_code.make(file, function, label, _may_be_meant)
    if not isinstance(model, keras.Model):
        raise BridgeError(f"{label}: returned {user_code.described(model)}, expected a keras.Model.")
    return model


def _may_be_meant(item: object) -> bool:
    return inspect.isfunction(item) or (inspect.isclass(item) and issubclass(item, keras.Model))
