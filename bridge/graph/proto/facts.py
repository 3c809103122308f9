"""What a layered model's file says of it as JSON, written and read."""

from __future__ import annotations

import json
from typing import Any

from bridge.errors import BridgeError
from bridge.graph.layer import Graph, Weight
from bridge.strict_json import object_of

FORMAT = "1"  # of such files
_WEIGHT = {"state": bool, "trainable": bool, "regularizer": dict, "constraint": dict, "initializer": dict}


def written_facts(graph: Graph) -> str:
    """What ONNX has no place for: of each weight what it is for, of the whole where it came from."""
    return json.dumps({"weights": {p: _facts(w) for p, w in graph.weights.items()}, "source": graph.source})


def _facts(weight: Weight) -> dict[str, Any]:
    """Those that are not as for most weights."""
    facts = {key: getattr(weight, key) for key in _WEIGHT}
    return {key: value for key, value in facts.items() if value != Weight.__dataclass_fields__[key].default}


def read_facts(text: str, file: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The same of a file: for each weight's path some of the fields of Weight, and the source."""
    facts = json_object(text, file, "bridge.facts")
    weights = _part(facts, "weights", file)
    for path, options in weights.items():
        if not isinstance(options, dict) or any(not isinstance(v, _WEIGHT.get(k, ())) for k, v in options.items()):
            raise BridgeError(f"{file}: what it says of the weight {path} can't be read: {str(options)[:80]}")
    return weights, _part(facts, "source", file)


def _part(facts: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    value = facts.get(key)
    if not isinstance(value, dict):
        raise BridgeError(f"{file}: bridge.facts has no {key!r}. The file is damaged; convert again.")
    return value


def json_object(text: str, file: str, what: str) -> dict[str, Any]:
    """Raises BridgeError if `what`, of the file, is none."""
    return object_of(text, f"{file}: {what} is not a JSON object. The file is damaged; convert again.")
