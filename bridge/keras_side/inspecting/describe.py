"""What is in a Keras file, told from its headers: no model is built, nothing in it is run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras.src.utils.naming import to_snake_case

from bridge.errors import BridgeError
from bridge.keras_side.building import config
from bridge.keras_side.checkpoints import load as checkpoint
from bridge.keras_side.files import archive, formats, hdf5, legacy, listing, tree
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.files.listing import Held
from bridge.keras_side.inspecting.skeleton import skeleton
from bridge.keras_side.saved_model import describe as saved_model


def describe(path: str | Path, backend: str | None = None) -> dict[str, Any]:
    """For `bridge inspect`: format, versions, layers with their weights, what `convert` would refuse and why.

    backend: what the user says wrote an old file.
    upgrades: what an older version's config means in Keras 3, a line for each change.
    layers: [{"name": path, "class": Keras class or "", "parameters": int, "weights": [{"name", "shape", "dtype"}]}].
    mlp: for weights alone of a plain Dense stack, the --mlp line with a blank for each activation; else None.
    skeleton: for weights alone of a plain stack, the source of an --arch function, its blanks in capitals; else None.
    Raises BridgeError if the file is damaged or breaks a rule that holds for every file.
    """
    path = Path(path)
    kind = formats.kind(path)
    if kind == formats.SAVED_MODEL:
        return _saved_model(path)
    if kind == formats.CHECKPOINT:
        return _checkpoint(path)
    if kind == formats.KERAS:
        with archive.opened(path) as content:
            metadata = config.parse_metadata(content.metadata, f"{path}: {archive.METADATA}")
            parsed = config.parse(content.config, f"{path}: {archive.CONFIG}")
            with hdf5.opened(content.weights, path.name, path.stat().st_size, content.lies) as file:
                told = {"format": ".keras archive", "training_config": bool(parsed.get("compile_config"))}
                return _described(path, file, parsed, metadata.get("keras_version"), told)
    with hdf5.opened(path, path.name, path.stat().st_size) as file:
        base, text = legacy.root(file), file.attribute("", "model_config")
        if base is None and not tree.is_tree(file):
            raise BridgeError(f"{path}: is an HDF5 file without Keras weights in it.")
        version = file.attribute("", "keras_version") or file.attribute(base or "", "keras_version")
        parsed = None if text is None else config.parse(text, str(path))
        layout = "Keras 3 layout" if base is None else "legacy HDF5"
        told = {
            "format": f"{layout}, weights only" if text is None else f"{layout}, model and weights",
            "training_config": file.attribute("", "training_config") is not None,
            "backend": legacy.backend(file, base, backend).name or None,
        }
        return _described(path, file, parsed, version, told)


def _checkpoint(path: Path) -> dict[str, Any]:
    found, weights = checkpoint.read(path)
    told = {"format": f"checkpoint of TensorFlow's, {weights.form}", "training_config": bool(weights.of_training)}
    facts = {"read": found.note} if found.note else {}
    return _described(path, weights, None, None, told) | {"facts": facts}


def _saved_model(path: Path) -> dict[str, Any]:
    weights, metadata, told = saved_model.facts(path)
    if metadata is not None and metadata.config is not None:
        # what its config can't do its program may
        return _described(path, weights, metadata.config, metadata.version, told) | {"refusals": []}
    layers = [
        _entry(place, "", [(word, _Weight(place, "", word, shape, dtype)) for word, shape, dtype in held])
        for place, held in saved_model.by_place(weights)
    ]
    return {
        "file": str(path),
        "backend": None,
        **told,
        "keras_version": metadata.version if metadata else None,
        "model_class": metadata.model_class if metadata else None,
        "layers": layers,
        "parameters": sum(layer["parameters"] for layer in layers),
        "classes": {},
        "refusals": [],
        "upgrades": [],
        "needs_architecture": False,
        "mlp": None,
        "skeleton": None,
    }


def _described(
    path: Path, file: Weights, parsed: dict[str, Any] | None, version: Any, told: dict[str, Any]
) -> dict[str, Any]:
    held = listing.held(file)
    version = config.version_of(parsed, version) if parsed else version
    found = config.examine(parsed, str(path), version, backend=told.get("backend") or "") if parsed else None
    layers = (
        _layers(parsed, held)
        if parsed
        else [_entry(item.layer, "", [(w.name, w) for w in _weights(item)]) for item in held]
    )
    return {
        "file": str(path),
        "backend": None,
        **told,
        "keras_version": version,
        "model_class": parsed["class_name"] if parsed else None,
        "layers": layers,
        "parameters": sum(layer["parameters"] for layer in layers),
        "classes": dict(Counter(layer["class"] for layer in layers if layer["class"])),
        "refusals": found.problems if found else [],
        "upgrades": found.upgrades.lines() if found and found.upgrades else [],
        "needs_architecture": parsed is None,
        "mlp": None if parsed else listing.proposal(file),
        "skeleton": None if parsed else skeleton(file),
    }


def _entry(name: str, kind: str, weights: list[tuple[str, _Weight]]) -> dict[str, Any]:
    listed = [{"name": word, "shape": list(weight.shape), "dtype": weight.dtype} for word, weight in weights]
    return {"name": name, "class": kind, "parameters": sum(math.prod(w["shape"]) for w in listed), "weights": listed}


def _layers(parsed: dict[str, Any], held: list[Held]) -> list[dict[str, Any]]:
    """The layers of the config with the weights that belong to each; after them, weights that belong to none."""
    left = {weight: None for item in held for weight in _weights(item)}
    entries = []
    for name, kind, place in _leaves(parsed, "", ""):
        mine = [weight for weight in left if _belongs(weight, name, place)]
        for weight in mine:
            del left[weight]
        entries.append(_entry(name, kind, [(weight.below(name), weight) for weight in mine]))
    return entries + [_entry(weight.layer, "", [(weight.name, weight)]) for weight in left]


@dataclass(frozen=True)
class _Weight:
    """One weight of the file: its layer, or its place in the Keras 3 layout, and what the header says of it."""

    layer: str
    place: str
    name: str
    shape: tuple[int, ...]
    dtype: str

    def below(self, layer: str) -> str:
        return self.name if self.place else f"{self.layer}/{self.name}".removeprefix(f"{layer}/")


def _weights(item: Held) -> list[_Weight]:
    return [_Weight(item.layer, item.place, name, shape, dtype) for name, shape, dtype in item.weights]


def _belongs(weight: _Weight, name: str, place: str) -> bool:
    if weight.place:
        return weight.place == place or weight.place.startswith(f"{place}/")
    return f"{weight.layer}/{weight.name}".startswith(f"{name}/")


def _leaves(node: dict[str, Any], path: str, place: str) -> list[tuple[str, str, str]]:
    """(path, class, place in the Keras 3 layout) of each layer that holds no further ones."""
    inner = node.get("config")
    layers = inner if isinstance(inner, list) else inner.get("layers", []) if isinstance(inner, dict) else []
    found, used = [], Counter()
    for layer in layers if isinstance(layers, list) else []:
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            continue
        settings = layer.get("config") if isinstance(layer.get("config"), dict) else {}
        kind, name = layer["class_name"], str(layer.get("name") or settings.get("name") or layer["class_name"])
        snake = to_snake_case(kind)
        spot = f"{place}/layers/{snake}" if place else f"layers/{snake}"
        spot = f"{spot}_{used[snake]}" if used[snake] else spot
        used[snake] += 1
        full = f"{path}/{name}" if path else name
        if "layers" in settings:
            found += _leaves(layer, full, spot)
        else:
            found.append((full, kind, spot))
    return found
