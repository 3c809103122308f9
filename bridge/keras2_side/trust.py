"""Whether a config may be given to legacy Keras, which runs code that a file carries without asking."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.operations import FUNCTIONS, RAW, operator_of

_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "function", "__typespec__")
_METHODS = ("ClassMethod", "InstanceMethod", "InstanceProperty")
_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")


def holds_code(value: Any) -> bool:
    """Whether anything in a config, wherever it stands, could make tf_keras run or import what the file says."""
    if isinstance(value, list):
        return any(map(holds_code, value))
    if not isinstance(value, dict):
        return False
    module = value.get("module")
    named = value.get("class_name") in (*_CODE, *_METHODS) or value.get("registered_name") is not None
    named = named or "function_type" in value or _calls_unknown(value)
    foreign = module is not None and str(module).split(".")[0] not in _MODULES
    return named or foreign or any(map(holds_code, value.values()))


def _calls_unknown(node: dict[str, Any]) -> bool:
    """Whether it is a call of a TensorFlow function, or an operator, that is none of those that only compute.

    Such a one before a metric is no part of what bridge reads, but legacy Keras calls it.
    """
    kind, config = node.get("class_name"), node.get("config")
    told = config if isinstance(config, dict) else {}
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        return str(told.get("function")) not in FUNCTIONS
    return kind == "TensorFlowOpLayer" and operator_of(str(told.get("node_def"))) not in RAW
