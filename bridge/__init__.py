"""bridge: Keras networks as real, trainable PyTorch modules, and home again, with proof.

Names are loaded when they are first used: `import bridge` imports no framework.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "BridgeError": "bridge.errors:BridgeError",
    "CheckFailed": "bridge.errors:CheckFailed",
    "New": "bridge.torch_side.writing.part:New",
    "Part": "bridge.torch_side.writing.part:Part",
    "Refused": "bridge.graph.body:Refused",
    "Take": "bridge.torch_side.writing.part:Take",
    "body": "bridge.own_rules:body",
    "evaluate": "bridge.api:evaluate",
    "finetune": "bridge.api:finetune",
    "keras2onnx": "bridge.api:keras2onnx",
    "keras2torch": "bridge.api:keras2torch",
    "load": "bridge.api:load",
    "parity": "bridge.api:parity",
    "rule": "bridge.own_rules:rule",
    "save": "bridge.api:save",
    "torch2keras": "bridge.api:torch2keras",
    "torch2onnx": "bridge.api:torch2onnx",
}
__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
