"""The whole-model Keras config after its head was replaced, so that Keras can build the model on the way home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bridge.errors import BridgeError
from bridge.strict_json import object_of

Options = dict[str, Any]


def with_head(
    text: str, head: str, behind: set[str], options: dict[str, Options], old: int, classes: int
) -> str | None:
    """The config with other options for some layers and the new width in every shape that names the old one.

    head: the path of the head. behind: the paths of the layers between it and the output.
    options: by layer path, what to set. old, classes: the width of the head before and after.
    Returns None where a layer is inside one of the user's own, whose config does not show it.
    Raises BridgeError for a model of its own behind the head.
    """
    model = object_of(text, "The model's Keras config is not a JSON object. The file is damaged; convert again.")
    for path in behind:
        parent = path.rpartition("/")[0]
        if parent and not head.startswith(f"{parent}/"):
            raise BridgeError(f"{path}: stands in a model of its own behind the head {head}, which can't be replaced.")
    for path, wanted in options.items():
        layer = _layer(model, path)
        if layer is None:
            return None
        layer["config"] |= wanted
    for path in {head, *behind}:
        _widen_results(model, path, old, classes)
    for path in behind:
        layer = _layer(model, path)
        if layer is not None:
            _widen(layer.get("build_config", {}), "input_shape", old, classes)
    return json.dumps(model)


def _children(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a model's entry; none for any other layer's."""
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    return [child for child in layers if isinstance(child, dict)] if isinstance(layers, list) else []


def _is_called(entry: dict[str, Any], name: str) -> bool:
    config = entry.get("config")
    return isinstance(config, dict) and config.get("name") == name


def _layer(model: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The entry of the layer of that path, or None if the config does not show it."""
    for name in path.split("/"):
        found = [child for child in _children(model) if _is_called(child, name)]
        if len(found) != 1:
            return None
        model = found[0]
    return model


def _widen_results(model: dict[str, Any], path: str, old: int, classes: int) -> None:
    """Changes the recorded shape of what a layer gives, and of what the models around it give with it."""
    for name in path.split("/"):
        for child in _children(model):
            for tensor in _tensors(child.get("inbound_nodes")):
                if tensor.get("keras_history", [None])[0] == name:
                    _widen(tensor, "shape", old, classes)
        model = next((child for child in _children(model) if _is_called(child, name)), {})


def _tensors(value: Any) -> Iterator[dict[str, Any]]:
    """The configs of the symbolic tensors anywhere in a layer's recorded calls."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]
        else:
            for item in value.values():
                yield from _tensors(item)
    elif isinstance(value, list):
        for item in value:
            yield from _tensors(item)


def _widen(holder: dict[str, Any], key: str, old: int, classes: int) -> None:
    shape = holder.get(key)
    if isinstance(shape, list) and shape and shape[-1] == old:
        holder[key] = [*shape[:-1], classes]
