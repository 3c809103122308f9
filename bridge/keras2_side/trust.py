"""Whether a config may be given to legacy Keras, which runs code that a file carries without asking."""

from __future__ import annotations

from typing import Any

_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "function", "__typespec__")
_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")


def holds_code(value: Any) -> bool:
    """Whether anything in a config, wherever it stands, could make tf_keras run or import what the file says."""
    if isinstance(value, list):
        return any(map(holds_code, value))
    if not isinstance(value, dict):
        return False
    module = value.get("module")
    named = value.get("class_name") in _CODE or value.get("registered_name") is not None or "function_type" in value
    foreign = module is not None and str(module).split(".")[0] not in _MODULES
    return named or foreign or any(map(holds_code, value.values()))
