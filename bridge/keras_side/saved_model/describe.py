"""What is in a SavedModel folder, told from its protobufs and its checkpoint's index: nothing is built or run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridge.keras_side.saved_model.layers import LayerWeights
from bridge.keras_side.saved_model.load import read_all
from bridge.keras_side.saved_model.metadata import Metadata


def facts(path: Path) -> tuple[LayerWeights, Metadata | None, dict[str, Any]]:
    """(its weights by layers, Keras's metadata, what to tell besides)."""
    weights, metadata, program = read_all(path)
    by = "Keras's metadata" if metadata is not None and metadata.config is not None else "a program alone"
    told: dict[str, Any] = {
        "format": f"SavedModel folder, {by}",
        "training_config": bool(metadata is not None and metadata.objects[0].get("training_config")),
        "facts": {"TensorFlow": program.version, "signatures": ", ".join(program.signatures) or "none"},
    }
    return weights, metadata, told


def by_place(weights: LayerWeights) -> list[tuple[str, list[tuple[str, tuple[int, ...], str]]]]:
    """The variables of a program without a config: (place, [(word, shape, dtype)]), those of training left out."""
    found: dict[str, list[tuple[str, tuple[int, ...], str]]] = {}
    for variable in weights.objects.variables.values():
        if variable.path.split("/")[0] in ("optimizer", "keras_api", "_all_variables"):
            continue
        place, _, word = (variable.name or variable.path).rpartition("/")
        found.setdefault(place or "(the model's own)", []).append((word, variable.stored.shape, variable.stored.dtype))
    return list(found.items())
