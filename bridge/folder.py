"""The bridge folder as files: which is which, whether they still tell of one network, and what map.json says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import BridgeError, CheckFailed
from bridge.files import existing_file, inside
from bridge.graph import Graph, from_proto, read_proto
from bridge.graph.stored import not_finite

HASH_KEY = "bridge.torch_sha256"  # in model.onnx: which model.safetensors it was written with
MAP_BYTES = 64 << 20


def model_of(folder: str | Path) -> Path:
    """The model.onnx of a bridge folder. Raises BridgeError if the folder is none."""
    folder = Path(folder)
    if not folder.is_dir() or not (folder / "model.onnx").exists():
        raise BridgeError(
            f"{folder}: is not a bridge folder (it has no model.onnx).\n"
            "Give a folder that bridge convert keras2torch or bridge finetune wrote."
        )
    return existing_file(inside(folder, "model.onnx", folder), "the model")


def weights_of(folder: str | Path) -> Path:
    """The model.safetensors of a bridge folder. Raises BridgeError if there is none."""
    return existing_file(inside(Path(folder), "model.safetensors", Path(folder)), "the weights")


def read_graph(model: str | Path) -> Graph:
    """The layered graph of a bridge folder or of a layered .onnx file, with the weights in that file."""
    file = model_of(model) if Path(model).is_dir() else Path(model)
    return from_proto(read_proto(file), str(file))


def read_map(folder: str | Path) -> dict[str, Any]:
    """map.json of a bridge folder; empty where there is none. Raises BridgeError if it is damaged."""
    file = inside(Path(folder), "map.json", Path(folder))
    if not file.exists():
        return {}
    try:
        if existing_file(file, "the weight map").stat().st_size > MAP_BYTES:
            raise ValueError("it is too large")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BridgeError(f"{file}: can't be read: {str(error)[:100]}. Convert again.") from None
    if not isinstance(found, dict):
        raise BridgeError(f"{file}: is not a JSON object. Convert again.")
    return found


def map_rows(folder: str | Path, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of what `read_map` gave: {"keras", "torch", "move", "torch_shape", ...}, the first three texts.

    No rows where the folder has no map. Raises BridgeError if they can't be read.
    """
    if not found:
        return []
    rows = found.get("weights")
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise BridgeError(f"{Path(folder) / 'map.json'}: is not a weight map that bridge wrote. Convert again.")
    return rows


def _is_row(row: Any) -> bool:
    texts = ("keras", "torch", "move")
    return isinstance(row, dict) and all(isinstance(row.get(key), str) for key in texts)


def own_module(folder: str | Path) -> str | None:
    """FILE.py:Class where the folder's torch weights are in a module of the user's own (--into), else None."""
    into = read_map(folder).get("into")
    return None if into is None else str(into)[:60]


def refuse_own_module(folder: str | Path) -> None:
    """Raises BridgeError if the torch weights are in a module of the user's own, which no file makes bridge run."""
    if (into := own_module(folder)) is not None:
        raise BridgeError(
            f"{folder}: its weights are in a module of your own, {into}, which no file makes bridge run.\n"
            f"Use that class with model.safetensors, or bridge's own module from {Path(folder) / 'model.onnx'}."
        )


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def stale(folder: str | Path, metadata: Mapping[str, str]) -> str:
    """What to do about torch weights that changed after model.onnx was written; "" if they did not.

    metadata: that of the folder's model.onnx.
    """
    folder = Path(folder)
    known = metadata.get(HASH_KEY)
    if known is None or not (folder / "model.safetensors").exists() or digest(weights_of(folder)) == known:
        return ""
    return (
        "model.safetensors has changed since model.onnx was written.\n"
        f"Bring it up to date: bridge convert torch2onnx {folder} -o {folder / 'model.onnx'} --force"
    )


def check_finite(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Raises CheckFailed, which names the weights and begins with `name`, if any holds NaN or infinity."""
    found = []
    for path, array in arrays.items():
        nans, infinite = not_finite(array)
        if nans or infinite:
            found.append(f"{path}: {nans:,} NaN, {infinite:,} infinite of {array.size:,}")
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise CheckFailed(
            f"{name}: NaN or infinity in its weights ({'; '.join(found[:5])}{more}). Nothing was written."
        )
