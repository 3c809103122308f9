"""The dialect of Keras 2: layer configs brought to what Keras 3 means by them, or refused where the meaning changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras

LATER = "that comes with a later version of bridge"
# How tf.keras 2 wrote tensor operations between layers
OPERATIONS = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod", "InstanceProperty"}
_SHAPES = ("batch_input_shape", "batch_shape")
_BASE = {"name", "trainable", "dtype", "activity_regularizer", "autocast"}
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}


def modernise(name: str, config: Any, problem: Callable[[str], None]) -> Any:
    """The config of one layer or model as Keras 3 writes it; `problem` is told what has no equal there."""
    if name == "Sequential":
        return _sequential(config, problem)
    if not isinstance(config, dict):
        problem(f"has no config of its own, {LATER}.")
        return config
    if name in ("Functional", "Model"):
        return _functional(config, problem)
    config = dict(config)
    for key, value in config.items():
        if key.endswith("activation") and value == "hard_sigmoid":
            problem(f"uses hard_sigmoid, which is another function in Keras 2 than in Keras 3: {LATER}.")
    if name == "InputLayer":
        return _input(config, problem)
    config = without_shapes(config)
    for old, new in _RENAMED.get(name, {}).items():
        if old in config:
            config[new] = config.pop(old)
    axis = config.get("axis")
    if name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    for key, value in config.items():
        if key.endswith("initializer") and isinstance(value, dict) and isinstance(value.get("config"), dict):
            # Keras 2 initializers had a dtype of their own
            config[key] = value | {"config": {k: v for k, v in value["config"].items() if k != "dtype"}}
    known = _BASE | _parameters(name)
    for key in sorted(set(config) - known):
        problem(f"has the setting {key!r}, which Keras 3 does not know: {LATER}.")
    return config


def without_shapes(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a layer without its input's shape: `_sequential` made an InputLayer of it where there was none."""
    return {key: value for key, value in config.items() if key not in _SHAPES}


def _parameters(name: str) -> set[str]:
    layer = getattr(keras.layers, name, None)
    return set(inspect.signature(layer.__init__).parameters) if layer is not None else set()


def _input(config: dict[str, Any], problem: Callable[[str], None]) -> dict[str, Any]:
    shapes = [config[key] for key in _SHAPES if config.get(key) is not None]
    if not shapes:
        problem(f"has no shape, {LATER}.")
        return config
    if config.get("ragged") or config.get("sparse"):
        problem(f"is ragged or sparse, {LATER}.")
    return {"batch_shape": shapes[0], "dtype": config.get("dtype") or "float32", "name": config.get("name")}


def _sequential(config: Any, problem: Callable[[str], None]) -> dict[str, Any]:
    if isinstance(config, list):  # before Keras 2.2
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        problem(f"has no list of layers, {LATER}.")
        return {}
    config = dict(config)
    layers = list(config["layers"])
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    inner = first.get("config")
    if first.get("class_name") != "InputLayer" and isinstance(inner, dict):
        shape = next((inner[key] for key in _SHAPES if inner.get(key) is not None), None)
        if shape is not None:
            # Keras 3 would read batch_input_shape as the shape without the batch: one axis too many
            name = f"{inner.get('name', 'layer')}_input"
            dtype = inner.get("dtype") if isinstance(inner.get("dtype"), str) else "float32"
            layers.insert(
                0, {"class_name": "InputLayer", "config": {"batch_shape": shape, "dtype": dtype, "name": name}}
            )
    config["layers"] = layers
    return config


def _functional(config: dict[str, Any], problem: Callable[[str], None]) -> dict[str, Any]:
    if not all(isinstance(config.get(key), list) for key in ("layers", "input_layers", "output_layers")):
        problem(f"has no layers, inputs and outputs in its config, {LATER}.")
        return config
    config = dict(config)
    for key in ("input_layers", "output_layers"):
        if len(config[key]) == 1:  # Keras 2 wrote one tensor as a list of one, which Keras 3 keeps a list
            config[key] = config[key][0]
    return config
