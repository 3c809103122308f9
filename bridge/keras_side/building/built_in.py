"""Keras's own classes, and bridge's stand-ins for what Keras no longer has: from which module Keras is to take each."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import keras
from keras.src.activations import ALL_OBJECTS_DICT

from bridge.graph.bodies.applications import APPLICATIONS
from bridge.graph.refused import FEATURES
from bridge.keras_side.old import layers as old_layers

MODELS = {
    "Functional": "keras.src.models.functional",
    "Model": "keras.src.models.functional",
    "Sequential": "keras.models",
}
_OPERATIONS = ("numpy", "nn", "math", "core", "image", "linalg")


@functools.cache
def activations() -> frozenset[str]:
    """Names of all of Keras's activation functions."""
    return frozenset(name for name in ALL_OBJECTS_DICT if isinstance(name, str))  # older names such as swish are in it


def kind_of(node: dict[str, Any], key: str) -> str:
    """The part of Keras that an object of a config is to be of; `key` is what it is called by."""
    for ending, kind in (
        ("initializer", "initializers"),
        ("regularizer", "regularizers"),
        ("constraint", "constraints"),
    ):
        if key.endswith(ending):
            return kind
    if key in ("dtype", "dtype_policy") or node["class_name"] in ("DTypePolicy", "Policy"):
        return "dtype_policies"
    module, config = node.get("module"), node.get("config")
    if isinstance(module, str) and module.startswith("keras.src.ops."):
        return "operations"
    # Keras 3 writes x + y into legacy HDF5 files as an Add with nothing but a name, and then takes it for the layer
    if "inbound_nodes" in node and "module" not in node and isinstance(config, dict) and set(config) == {"name"}:
        return "operations"
    return "random" if node["class_name"] == "SeedGenerator" else "layers"


def module_of(name: str, kind: str, node: dict[str, Any]) -> str | None:
    """The module of a built-in class, None for a custom one."""
    if kind == "layers" and is_stand_in(name, node):
        return old_layers.__name__
    stated, registered = node.get("module", "keras"), node.get("registered_name")
    if not isinstance(stated, str) or stated.split(".")[0] != "keras" or registered not in (None, name):
        return None
    if name == "Policy" and kind == "dtype_policies":
        name = "DTypePolicy"
    if kind == "layers" and name in MODELS:
        return MODELS[name]
    if kind == "layers" and stated == APPLICATIONS.get(name):
        return stated
    if kind == "layers" and name in FEATURES and stated in ("keras", FEATURES[name]):  # a legacy file says no module
        return FEATURES[name]
    return _classes(kind).get(name)


def is_stand_in(name: Any, node: dict[str, Any]) -> bool:
    """Whether it is one of bridge's own stand-ins for what Keras 3 no longer has."""
    return isinstance(name, str) and name in old_layers.OWN and node.get("registered_name") == f"bridge>{name}"


def registered_name(name: str, module: str) -> str | None:
    """Of a stand-in; Keras's own need none."""
    return f"bridge>{name}" if module == old_layers.__name__ else None


@functools.cache
def _classes(kind: str) -> dict[str, str]:
    """Built-in classes of one kind: class name -> module that Keras is told to take it from."""
    if kind == "operations":
        found = {}
        for part in _OPERATIONS:
            module = inspect.getmodule(getattr(__import__("keras.src.ops", fromlist=[part]), part))
            for name, item in vars(module).items():
                if inspect.isclass(item) and issubclass(item, keras.Operation) and item.__module__ == module.__name__:
                    found[name] = module.__name__
        return found
    return {name: f"keras.{kind}" for name, item in vars(getattr(keras, kind)).items() if inspect.isclass(item)}
