"""The Merge layer, and Sequential models that begin with one, which have several inputs."""

from __future__ import annotations

import copy
from typing import Any

from bridge.keras_side.old.dialect.table import Entry, upgrade

_MERGES = {"sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum"}
_MODELS = ("Sequential", "Model", "Functional")
_SHAPES = ("batch_input_shape", "batch_shape")


class _Odd(ValueError):
    """What no Keras would have written."""


@upgrade(
    "a Sequential model that begins by merging others, as a functional one with the layers of all",
    "keras 1.2.2: models.py, Sequential.get_config, flattened_layers; keras 2.0: legacy/models.py",
    until=(2, 3),
    kinds=("Sequential",),
)
def merge_of_branches(entry: Entry) -> bool:
    layers = entry.config.get("layers") if isinstance(entry.node.get("config"), dict) else entry.node.get("config")
    if not isinstance(layers, list) or not _branches(layers):
        return False
    made = _Flat()
    try:
        end = made.sequential(layers)
    except (_Odd, KeyError, TypeError, AttributeError, IndexError) as error:
        entry.refuse(f"begins by merging models in no known way ({type(error).__name__}: {error}).")
        return False
    config = {"name": entry.name.lower(), "layers": made.layers, "input_layers": made.inputs, "output_layers": [end]}
    entry.node["class_name"], entry.node["config"] = "Model", config
    return True


def _branches(layers: list[Any]) -> list[Any]:
    """The models that a list of layers begins with, if it does."""
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    config = first.get("config")
    found = config.get("layers") if first.get("class_name") == "Merge" and isinstance(config, dict) else None
    return found if isinstance(found, list) else []


class _Flat:
    """The layers of several models in one list, each with what it is called on. A layer that comes twice is shared."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.inputs: list[list[Any]] = []

    def sequential(self, layers: list[Any]) -> list[Any]:
        """Adds them; where their output comes from: ["dense_2", 0, 0]."""
        if branches := _branches(layers):
            ends = [self.branch(node) for node in branches]
            first = copy.deepcopy(layers[0])
            del first["config"]["layers"]
            end = self.add(first, ends)
        else:
            end = self.begun(layers[0])
        for node in layers[1:]:
            end = self.add(node, [end])
        return end

    def branch(self, node: dict[str, Any]) -> list[Any]:
        kind, config = node["class_name"], node["config"]
        if kind == "Sequential":
            return self.sequential(config["layers"] if isinstance(config, dict) else config)
        if kind in ("Model", "Functional"):
            return self.functional(config)
        return self.begun(node)

    def begun(self, node: dict[str, Any]) -> list[Any]:
        """The first layer of a branch, which says what its input is like."""
        if node["class_name"] == "InputLayer":
            return self.input(node)
        config, kind = node["config"], node["class_name"]
        inner = config["layers"] if kind in _MODELS and isinstance(config, dict) else config
        first = inner[0]["config"] if isinstance(inner, list) else config
        shape = next((first[key] for key in _SHAPES if first.get(key) is not None), None)
        if shape is None:
            raise _Odd("a branch without the shape of its input")
        name = f"{first['name']}_input"
        dtype = first.get("input_dtype") or first.get("dtype") or "float32"
        given = {"name": name, "batch_input_shape": shape, "dtype": dtype}
        return self.add(node, [self.input({"class_name": "InputLayer", "config": given})])

    def input(self, node: dict[str, Any]) -> list[Any]:
        name, known = node["config"]["name"], {layer["name"] for layer in self.layers}
        number, free = 1, name
        while free in known:
            number, free = number + 1, f"{name}_{number}"
        config = {**node["config"], "name": free}
        self.layers.append({"class_name": "InputLayer", "name": free, "config": config, "inbound_nodes": []})
        self.inputs.append([free, 0, 0])
        return [free, 0, 0]

    def functional(self, config: dict[str, Any]) -> list[Any]:
        known = {layer["name"] for layer in self.layers}
        (end,) = config["output_layers"]
        for node in config["layers"]:
            if node["name"] in known:
                raise _Odd(f"two layers called {node['name']}")
            self.layers.append(copy.deepcopy(node))
        self.inputs += config["input_layers"]
        return list(end)

    def add(self, node: dict[str, Any], given: list[list[Any]]) -> list[Any]:
        config = node["config"]
        name = node.get("name") or (config.get("name") if isinstance(config, dict) else None)
        if name is None:  # a Sequential model before Keras 2.2
            name = f"{node['class_name'].lower()}_of_{config[-1]['config']['name']}"
        found = next((layer for layer in self.layers if layer["name"] == name), None)
        if found is not None and {key: found[key] for key in ("class_name", "config")} != {
            "class_name": node["class_name"],
            "config": config,
        }:
            raise _Odd(f"two layers called {name}")
        if found is None:
            found = {"class_name": node["class_name"], "name": name, "config": config, "inbound_nodes": []}
            self.layers.append(found)
        found["inbound_nodes"].append([[*each, {}] for each in given])
        # a model's own building counts as its call 0
        return [name, len(found["inbound_nodes"]) - (node["class_name"] not in ("Model", "Functional")), 0]


@upgrade(
    "the Merge layer as the layer of its mode", "keras 2.0: legacy/layers.py, Merge", until=(2, 3), kinds=("Merge",)
)
def keras1_merge(entry: Entry) -> bool:
    config, name = entry.config, entry.name
    mode = config.get("mode")
    if config.get("mode_type") not in (None, "raw") or mode not in (*_MERGES, "dot", "cos"):
        entry.refuse(f"merges by the function {mode!r}, which the file does not hold.")
    elif mode in ("dot", "cos"):
        axes = config.get("dot_axes", -1)
        entry.kind = "Dot"
        entry.node["config"] = {"name": name, "axes": axes, "normalize": mode == "cos"}
    else:
        entry.kind = _MERGES[mode]
        axis = {"axis": config.get("concat_axis", -1)} if mode == "concat" else {}
        entry.node["config"] = {"name": name, "trainable": True, **axis}
    return entry.kind != "Merge"
