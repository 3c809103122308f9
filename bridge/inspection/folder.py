"""A bridge folder: its model.onnx, model.safetensors and map.json, and whether they still tell of one network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridge.errors import BridgeError
from bridge.files import FOLDER_FILES
from bridge.folder import map_rows, model_of, read_map, stale, weights_of
from bridge.graph import is_layered, read_proto
from bridge.inspection.onnx_file import inspect_layered, own_rules_line
from bridge.inspection.result import Inspection
from bridge.inspection.tensors import Header, read_header


def inspect_folder(path: Path) -> Inspection:
    """What is in a bridge folder. Raises BridgeError if it is none, or a file of it is damaged."""
    file = model_of(path)
    proto = read_proto(file, full_check=True)
    if not is_layered(proto):
        raise BridgeError(f"{file}: is a plain ONNX file, so this is not a folder that bridge wrote.")
    found = inspect_layered(file, proto)
    told = {p.key: p.value for p in proto.metadata_props}
    header = read_header(weights_of(path))
    warnings = [*found.warnings, *(f"model.safetensors: NaN or infinity in {name}" for name in header.not_finite)]
    if reason := stale(path, told):
        warnings.append(reason.replace("\n", " "))
    rows = map_rows(path, read_map(path))
    home = "bridge convert torch2keras writes it as Keras file" + (
        "." if "bridge.keras_config" in told else ", with --arch FILE.py:function."
    )
    if "bridge.saved_model" in told:
        home += " To a name without an ending it writes the SavedModel that it came from."
    if "bridge.checkpoint" in told:
        home += " To a name without an ending it writes a checkpoint like the one that it came from."
    return Inspection(
        path=str(path),
        format="bridge folder",
        facts=found.facts | _facts(path, header, rows),
        layers=found.layers,
        convert=["bridge finetune trains it, bridge eval runs its model.onnx.", home, *own_rules_line(proto)],
        refusals=_contradictions(header, rows),
        warnings=warnings,
        notes=found.notes,
    )


def _facts(path: Path, header: Header, rows: list[dict[str, Any]]) -> dict[str, str]:
    there = [name for name in FOLDER_FILES if (path / name).is_file()]
    facts = {"files": ", ".join(there), "torch": f"{len(header.weights)} tensors"}
    moved = sum(1 for row in rows if row["move"] != "identity")
    return facts | ({"map": f"{len(rows)} Keras weights, {moved} of them in another layout in torch"} if rows else {})


def _contradictions(header: Header, rows: list[dict[str, Any]]) -> list[str]:
    held = {weight.name: list(weight.shape) for weight in header.weights}
    lines = []
    for row in rows:
        if row["torch"] not in held:
            lines.append(f"model.safetensors lacks {row['torch']}")
        elif held[row["torch"]] != (said := row.get("torch_shape")):
            lines.append(f"model.safetensors: {row['torch']} is {held[row['torch']]}, the map says {str(said)[:60]}")
    return lines
