"""A bridge folder: its model.onnx, model.safetensors and map.json, and whether they still tell of one network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError
from bridge.files import existing_file, inside
from bridge.graph import is_layered, read_proto
from bridge.inspection.onnx_file import inspect_layered
from bridge.inspection.result import Inspection
from bridge.inspection.tensors import Header, read_header

MAP_LIMIT = 64 << 20  # bytes
HASH_KEY = "bridge.torch_sha256"  # in model.onnx: which model.safetensors it was written with


def inspect_folder(path: Path) -> Inspection:
    """What is in a bridge folder. Raises BridgeError if it is none, or a file of it is damaged."""
    if not (path / "model.onnx").exists():
        raise BridgeError(
            f"{path}: is not a bridge folder (it has no model.onnx).\n"
            "Give a folder that bridge convert keras2torch or bridge finetune wrote."
        )
    file = inside(path, "model.onnx", path)
    proto = read_proto(file, full_check=True)
    if not is_layered(proto):
        raise BridgeError(f"{file}: is a plain ONNX file, so this is not a folder that bridge wrote.")
    found = inspect_layered(file, proto)
    told = {p.key: p.value for p in proto.metadata_props}
    state = inside(path, "model.safetensors", path)
    header = read_header(state)
    warnings = [*found.warnings, *(f"model.safetensors: NaN or infinity in {name}" for name in header.not_finite)]
    if HASH_KEY in told and told[HASH_KEY] != _digest(state):
        warnings.append(
            f"model.safetensors has changed since model.onnx was written; bring it up to date: "
            f"bridge convert torch2onnx {path} -o {file} --force"
        )
    rows = _rows(path)
    has_config = "bridge.keras_config" in told
    home = "bridge convert torch2keras writes it as Keras file" + (
        "." if has_config else ", with --arch FILE.py:function."
    )
    return Inspection(
        path=str(path),
        format="bridge folder",
        facts=found.facts | _facts(path, header, rows),
        layers=found.layers,
        convert=["bridge finetune trains it, bridge eval runs its model.onnx.", home],
        refusals=_contradictions(header, rows),
        warnings=warnings,
    )


def _facts(path: Path, header: Header, rows: list[dict[str, Any]]) -> dict[str, str]:
    names = ("model.onnx", "model.safetensors", "model.py", "map.json", "history.csv")
    there = [name for name in names if (path / name).is_file()]
    facts = {"files": ", ".join(there), "torch": f"{len(header.weights)} tensors"}
    moved = sum(1 for row in rows if row["move"] != "identity")
    return facts | ({"map": f"{len(rows)} Keras weights, {moved} of them in another layout in torch"} if rows else {})


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of map.json; none without that file."""
    if not (path / "map.json").exists():
        return []
    file = existing_file(inside(path, "map.json", path), "the weight map")
    try:
        if file.stat().st_size > MAP_LIMIT:
            raise ValueError
        rows = json.loads(file.read_bytes())["weights"]
        if any(not isinstance(row["torch"], str) or not isinstance(row["torch_shape"], list) for row in rows):
            raise ValueError
        return [{"move": "", **row} for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BridgeError(f"{file}: is not a weight map that bridge wrote. Convert again.") from None


def _contradictions(header: Header, rows: list[dict[str, Any]]) -> list[str]:
    held = {weight.name: list(weight.shape) for weight in header.weights}
    lines = []
    for row in rows:
        if row["torch"] not in held:
            lines.append(f"model.safetensors lacks {row['torch']}")
        elif held[row["torch"]] != row["torch_shape"]:
            lines.append(
                f"model.safetensors: {row['torch']} is {held[row['torch']]}, the map says {row['torch_shape']}"
            )
    return lines


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
