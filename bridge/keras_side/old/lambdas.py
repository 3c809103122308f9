"""The code of Lambda layers in files of Keras 1 and 2: which Python wrote it, told without running it."""

from __future__ import annotations

import base64
import binascii
import dis
import opcode
import sys
from typing import Any

_REFERENCE = 0x80  # a bit that marshal adds to the type of an object that comes again
_THIS = "{}.{}".format(*sys.version_info)


def rewritten(config: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The config of an old Lambda layer as Keras 3 reads it, and why it can't be run, if so.

    Only for what the user trusts: Keras runs the code later.
    """
    kept = {key: config[key] for key in ("name", "trainable", "dtype", "arguments") if config.get(key) is not None}
    for key in ("function", "output_shape"):
        kind, value = config.get(f"{key}_type"), config.get(key)
        if kind == "function":
            return config, f"names the function {value!r}, which the file does not hold"
        if kind == "lambda" or (key == "function" and isinstance(value, list)):
            found, problem = _function(value)
            if problem is not None:
                return config, problem
            kept[key] = {"class_name": "__lambda__", "config": found}
        elif value is not None:
            kept[key] = value
    return kept, None


def _function(value: Any) -> tuple[dict[str, Any], str | None]:
    code, defaults, closure = (*value, None, None)[:3] if isinstance(value, list) else (value, None, None)
    if not isinstance(code, str):
        return {}, "holds no code that can be read"
    found = marshalled(code)
    writer = python_of(found)
    if writer != _THIS:
        return {}, f"holds code of {f'Python {writer}' if writer else 'no known Python'}; this is Python {_THIS}"
    text = base64.encodebytes(found).decode()
    return {"code": text, "defaults": defaults, "closure": closure}, None


def marshalled(code: str) -> bytes:
    """The bytes of a code object: base64, and before Keras 2.1 characters for bytes."""
    try:
        return base64.b64decode("".join(code.split()).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return code.encode("raw_unicode_escape")


def python_of(code: bytes) -> str | None:
    """The versions of Python that lay code objects out so: "2.7", "3.0 to 3.7", "3.8 to 3.10"; this one's as "3.11"."""
    if not code or code[0] & ~_REFERENCE != ord("c"):
        return None
    strings = [place for place in (17, 21, 25) if len(code) > place + 5 and code[place] & ~_REFERENCE == ord("s")]
    if not strings:
        return None
    if strings[0] != 21:
        return {17: "2.7", 25: "3.8 to 3.10"}[strings[0]]
    size = int.from_bytes(code[22:26], "little")
    instructions = code[26 : 26 + size]
    if instructions[:1] not in (bytes([op]) for op in (128, 135, 149, 151)):  # RESUME, or what may stand before it
        return "3.0 to 3.7"
    return _THIS if _is_this(instructions) else "3.11 or later, but another one than this"


def _is_this(instructions: bytes) -> bool:
    """Whether they read as this Python's: all known, with the places for caches where it has them."""
    caches = getattr(opcode, "_inline_cache_entries", [])
    place, begun = 0, False
    while place + 1 < len(instructions):
        operation = instructions[place]
        name = dis.opname[operation]
        if name.startswith("<") or name == "CACHE":
            return False
        begun = begun or name == "RESUME"
        entries = caches[operation] if isinstance(caches, list) else caches.get(name, 0)
        place += 2 * (1 + entries)
        if any(instructions[i] for i in range(place - 2 * entries, min(place, len(instructions)), 2)):
            return False
    return begun
