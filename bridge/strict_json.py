"""JSON as its standard has it, without NaN and infinity; and JSON of files, which must be an object."""

from __future__ import annotations

import json
import math
from typing import Any

from bridge.errors import BridgeError


def finite_or_null(value: Any) -> Any:
    """`value` with null for NaN and infinity, at any depth; tuples become lists."""
    if isinstance(value, dict):
        return {key: finite_or_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def object_of(text: str | bytes, otherwise: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises BridgeError, with the message `otherwise`, if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BridgeError(otherwise)
    return value
