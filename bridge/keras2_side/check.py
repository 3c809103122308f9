"""A conversion of an old file held against legacy Keras: framework-free, for the conversion's proof."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.graph import Graph
from bridge.keras2_side.trust import holds_code
from bridge.process import WorkerCrashed, worker


@dataclass(frozen=True)
class Legacy:
    """What tf_keras said. outputs: in the model's order; None where it could not be asked, and `note` says why."""

    outputs: list[np.ndarray] | None
    note: str


def ask_legacy(path: str, graph: Graph, inputs: dict[str, np.ndarray], part: bool) -> Legacy | None:
    """What tf_keras computes of an old file; None for files that are not old, and where tf_keras isn't installed.

    It is given the file only if the config in it is the very one that was converted, and holds no code.
    part: whether only a part of the model was converted, which can't be compared.
    """
    told = graph.source.get("origin")
    if not isinstance(told, dict) or "config" not in told or part or importlib.util.find_spec("tf_keras") is None:
        return None
    config = _parsed(told["config"])
    if config is None or holds_code(config):
        return Legacy(None, "Not compared with tf_keras: the file names code, which tf_keras would run.")
    try:
        found = worker("keras2_side").call(
            "run", path=str(Path(path).absolute()), config=told["config"], inputs=list(inputs.values())
        )
    except WorkerCrashed:
        return Legacy(None, "Not compared with tf_keras: its process ended without a word.")
    if "other" in found:
        return Legacy(None, "Not compared with tf_keras: the file's own config is not the one that was converted.")
    if "failed" in found:
        return Legacy(None, f"Not compared with tf_keras, which can't read the file itself ({found['failed']}).")
    return Legacy(found["outputs"], f"tf_keras {found['version']}")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
