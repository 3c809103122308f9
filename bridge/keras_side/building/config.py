"""Model configs (the JSON in a file) made safe for Keras: built-in classes only, named by us, nothing that runs.

Keras imports modules and resolves classes by names that it finds in a config. `prepare` returns a copy in which every
such name was looked up here and written anew, so that a file cannot choose what is imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bridge.errors import BridgeError
from bridge.keras_side.building.config_reader import Reader
from bridge.keras_side.old import dialect
from bridge.keras_side.old.dialect import keras0, keras1

SHOWN = 6  # problems in one message


def parse(text: bytes | str, origin: str) -> dict[str, Any]:
    """JSON that holds a model's config. Raises BridgeError if it is no JSON or no config."""
    config = _json(text, origin)
    if keras0.is_keras0(config):
        config = keras0.as_keras1(config)
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str) or "config" not in config:
        raise BridgeError(
            f"{origin}: is not a model's config (no class_name and config). Write it with model.to_json()."
        )
    return config


def parse_metadata(text: bytes, origin: str) -> dict[str, Any]:
    """The JSON object that stands beside a config."""
    metadata = _json(text, origin)
    if not isinstance(metadata, dict):
        raise BridgeError(f"{origin}: is not a JSON object.")
    return metadata


def _json(text: bytes | str, origin: str) -> Any:
    try:
        if not isinstance(text, str | bytes):
            raise ValueError(f"it is a {type(text).__name__}")
        return json.loads(text)
    except RecursionError:
        raise BridgeError(f"{origin}: is nested too deeply to be a model's config.") from None
    except ValueError as error:
        raise BridgeError(f"{origin}: is not valid JSON ({error}).") from None


def version_of(config: dict[str, Any], stated: str | None = None) -> str:
    """The Keras version that wrote a config: as stated, else as told by its dialect."""
    version = stated or config.get("keras_version")
    if isinstance(version, str):
        return version
    if "module" in config:
        return "3"
    return keras1.FIRST if keras1.is_keras1(config) else "2"


@dataclass(frozen=True)
class Examined:
    """A config as Keras may read it, unless there are problems. upgrades: what an older dialect made necessary."""

    config: dict[str, Any]
    problems: list[str]
    upgrades: dialect.Upgraded | None = None


def prepare(config: dict[str, Any], origin: str, version: str, unsafe: bool = False, backend: str = "") -> Examined:
    """The config as Keras may read it. Raises BridgeError with everything that can't be read, by layer name."""
    found = examine(config, origin, version, unsafe, backend)
    if found.problems:
        raise BridgeError(found.problems[0] if len(found.problems) == 1 else _together(found.problems, origin))
    return found


def _together(problems: list[str], origin: str) -> str:
    """Several problems as one message: what is the matter, then what to do."""
    said = [problem.removeprefix(f"{origin}: ").split("\n") for problem in problems]
    what = [lines[0].removesuffix(".") for lines in said]
    ways = list(dict.fromkeys(way for lines in said for way in lines[1:]))
    more = f" (and {len(what) - SHOWN} more; bridge inspect lists them)" if len(what) > SHOWN else ""
    return "\n".join([f"{origin}: {'; '.join(what[:SHOWN])}{more}.", *ways])


def examine(config: dict[str, Any], origin: str, version: str, unsafe: bool = False, backend: str = "") -> Examined:
    """The config as Keras may read it, and everything in it that is refused (then the config is not to be used)."""
    major = version.split(".")[0]
    if major not in ("0", "1", "2", "3"):
        return Examined(config, [f"{origin}: was written by Keras {version}, which bridge does not know."])
    upgrades = None
    if major != "3":
        upgrades = dialect.upgraded(config, dialect.Writer(version, backend or "tensorflow"))
        config = upgrades.config
    reader = Reader(origin, is_old=major != "3", unsafe=unsafe)
    prepared = reader.node(config, "layers", "the model", 0)
    upgrading = [f"{origin}: {text}" for text in upgrades.problems] if upgrades else []
    return Examined(prepared, list(dict.fromkeys([*upgrading, *reader.all_problems()])), upgrades)
