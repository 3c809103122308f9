"""How models are written: their layers, their inputs, their metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.keras_side.old.dialect.table import Entry, upgrade

SHAPES = ("batch_input_shape", "batch_shape")
_MODELS = ("Sequential", "Functional", "Model")


@upgrade("a Sequential model as a list of its layers", "keras 2.2.0: engine/sequential.py, from_config")
def sequential_as_a_list(entry: Entry) -> bool:
    if entry.kind != "Sequential" or not isinstance(entry.node.get("config"), list):
        return False
    name = entry.node.get("name") or "sequential"
    entry.node["config"] = {"name": name, "layers": entry.node["config"]}
    return True


@upgrade(
    "the Model class of functional models", "tensorflow 2.2: keras/engine/functional.py", kinds=("Model", "Network")
)
def functional_class(entry: Entry) -> bool:
    entry.kind = "Functional"
    return True


@upgrade(
    "a ragged input as a dense one: the rows of one batch must be of one length",
    "tensorflow 2.1: keras/engine/input_layer.py; gone in keras 3.0",
    kinds=("InputLayer",),
    means=True,
)
def ragged_input(entry: Entry) -> bool:
    """Of rows of one length a ragged tensor holds what a dense one does; methods of ragged tensors have no equal."""
    return entry.config.pop("ragged", None) is True


@upgrade("an input's shape as batch_input_shape", "keras 3.0: layers/core/input_layer.py", kinds=("InputLayer",))
def input_layer_shape(entry: Entry) -> bool:
    config = entry.config
    shape = next((config[key] for key in SHAPES if config.get(key) is not None), None)
    if shape is None:
        entry.refuse("has no shape.")
        return False
    kept = {"batch_shape": shape, "dtype": _dtype(config), "name": config.get("name")}
    if config.get("optional") is not None:
        kept["optional"] = config["optional"]
    if entry.node["config"] == kept:
        return False
    entry.node["config"] = kept
    return True


def _dtype(config: dict[str, Any]) -> str:
    found = config.get("dtype") or config.get("input_dtype")
    return found if isinstance(found, str) else "float32"


@upgrade(
    "a Sequential model without an InputLayer: its first layer has the shape",
    "tensorflow 2.2: keras/engine/sequential.py, get_config",
    kinds=("Sequential",),
)
def sequential_input(entry: Entry) -> bool:
    layers = entry.config.get("layers")
    if not isinstance(layers, list):
        entry.refuse("has no list of layers.")
        entry.node["config"] = {"name": "sequential", "layers": []}
        return False
    entry.config.setdefault("name", "sequential")
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    if first.get("class_name") == "InputLayer":
        return False
    shape, dtype = _shape_of(first)
    if shape is None:
        return False
    name = f"{_name(first)}_input"
    layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shape, "dtype": dtype, "name": name}})
    return True


def _name(node: dict[str, Any]) -> str:
    config = node.get("config")
    return str(config.get("name") or "layer") if isinstance(config, dict) else "layer"


def _shape_of(node: dict[str, Any]) -> tuple[Any, str]:
    """The shape, with the batch axis, and the type that a layer says its input has; (None, "") if it doesn't."""
    config = node.get("config")
    if isinstance(config, list):  # a Sequential model before Keras 2.2
        config = {"layers": config}
    if not isinstance(config, dict):
        return None, ""
    layers = config.get("layers")
    if isinstance(layers, list):
        first = layers[0] if layers and isinstance(layers[0], dict) else {}
        if node.get("class_name") in ("Model", "Functional") and len(config.get("input_layers") or []) != 1:
            return None, ""
        return _shape_of(first)
    shape = next((config[key] for key in SHAPES if config.get(key) is not None), None)
    if shape is not None:
        return shape, _dtype(config)
    # the input of a Bidirectional layer is that of the layer in it; a TimeDistributed layer's has an axis more
    inner = config.get("layer")
    return _shape_of(inner) if node.get("class_name") == "Bidirectional" and isinstance(inner, dict) else (None, "")


@upgrade(
    "a model's setting that says nothing of what it computes",
    "keras 2.0 to 2.15: engine/training.py",
    kinds=("Sequential", "Functional"),
)
def model_settings(entry: Entry) -> bool:
    known = {"name", "trainable", "layers", "input_layers", "output_layers", "build_input_shape", "dtype"}
    spare = [key for key in entry.config if key not in known]
    for key in spare:
        del entry.config[key]
    return bool(spare)


@upgrade(
    "layers that keep metrics and added losses, which are no part of what a model computes",
    "tensorflow 2.2: keras/engine/base_layer.py, AddLoss and AddMetric",
    kinds=("Functional",),
    means=True,
)
def added_losses(entry: Entry) -> bool:
    layers = entry.config.get("layers")
    if not isinstance(layers, list):
        return False
    found = False
    while True:
        used = _names_in([entry.config.get("output_layers"), [_nodes(layer) for layer in layers]])
        spare = [layer for layer in layers if _is_ending(layer, found) and _name(layer) not in used]
        if not spare:
            break
        layers[:] = [layer for layer in layers if not any(layer is one for one in spare)]
        found = True
    for layer in layers:
        if isinstance(layer, dict) and layer.get("class_name") in ("AddLoss", "AddMetric"):
            layer["class_name"], layer["config"] = "Identity", {"name": _name(layer)}
            found = True
    return found


def _is_ending(layer: Any, behind: bool) -> bool:
    """Whether a layer that nothing takes from was there for a loss or metric alone: one, or an operation before one."""
    kind = layer.get("class_name") if isinstance(layer, dict) else None
    operations = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod")
    return kind in ("AddLoss", "AddMetric") or (behind and kind in operations)


def _nodes(layer: Any) -> Any:
    return layer.get("inbound_nodes") if isinstance(layer, dict) else None


def _names_in(value: Any) -> set[str]:
    """All layers that lists like ["dense", 0, 0] name, at any depth."""
    if isinstance(value, dict):
        return set().union(*map(_names_in, value.values())) if value else set()
    if not isinstance(value, list):
        return set()
    own = {value[0]} if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int) else set()
    return own.union(*map(_names_in, value)) if value else own


@upgrade(
    "a MultiHeadAttention that does not look at the masks of its inputs, nor pass one on",
    "keras 2.10, commit c0293ded9a: layers/attention/multi_head_attention.py",
    until=(2, 10),
    kinds=("Functional", "Sequential"),
    means=True,
)
def attention_without_masks(entry: Entry) -> bool:
    """Where there may be a mask: the model is built so that none reaches it, see old_calls."""
    layers = list(_layers(entry.node)) if entry.within is None else []
    masks = any(node["class_name"] == "Masking" or _settings(node).get("mask_zero") is True for node in layers)
    return masks and any(node["class_name"] == "MultiHeadAttention" for node in layers)


def _settings(node: dict[str, Any]) -> dict[str, Any]:
    config = node.get("config")
    return config if isinstance(config, dict) else {}


def _layers(node: Any) -> Iterator[dict[str, Any]]:
    """All layers of a model, those in models and wrappers in it too."""
    if not isinstance(node, dict) or not isinstance(node.get("class_name"), str):
        return
    yield node
    config = _settings(node)
    inner = config.get("layers")
    for child in [*(inner if isinstance(inner, list) else []), config.get("layer")]:
        yield from _layers(child)
