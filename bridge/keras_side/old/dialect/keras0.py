"""Architectures as Keras 0.x wrote them: {"name": "Dense", "custom_name": "dense", "output_dim": 3, ...}."""

from __future__ import annotations

from typing import Any

VERSION = "0.3"


def is_keras0(config: Any) -> bool:
    return isinstance(config, dict) and "class_name" not in config and isinstance(config.get("layers"), list)


def as_keras1(config: dict[str, Any]) -> dict[str, Any]:
    """The config as Keras 1 would have written it; layers of one name get numbers."""
    return {**_node(config, {}), "keras_version": VERSION}


def _node(node: Any, taken: dict[str, int]) -> Any:
    if not isinstance(node, dict) or not isinstance(node.get("name"), str):
        return node
    kind = node["name"]
    if kind == "Sequential":
        return {"class_name": kind, "config": [_node(layer, taken) for layer in node.get("layers", [])]}
    config = {key: value for key, value in node.items() if key not in ("name", "custom_name", "cache_enabled")}
    if isinstance(config.get("layers"), list):
        config["layers"] = [_node(layer, taken) for layer in config["layers"]]
    name = str(node.get("custom_name") or kind.lower())
    taken[name] = taken.get(name, 0) + 1
    config["name"] = f"{name}_{taken[name]}"
    if isinstance(config.get("input_shape"), list):
        config.setdefault("batch_input_shape", [None, *config.pop("input_shape")])
    return {"class_name": kind, "config": config}
