"""Layers with LoRA adapters, as plain ones: Keras's files hold their weights with the adapters merged into them."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import keras
from keras import layers
from keras.src.layers.convolutional.base_conv import BaseConv

from bridge.errors import BridgeError
from bridge.graph import Graph

MERGED = "its LoRA adapters are merged into its weights, as in Keras's own files; in torch the weights themselves train"
_ENABLING = tuple(kind.enable_lora for kind in (layers.Dense, layers.EinsumDense, layers.Embedding, BaseConv))
_merged: WeakKeyDictionary[keras.Model, list[str]] = WeakKeyDictionary()


def _adapted(model: keras.Model) -> list[keras.Layer]:
    """The layers with adapters as Keras makes them; a class of the user's may have its own by that name."""
    made = (layer for layer in model._flatten_layers() if getattr(layer, "lora_enabled", False))
    return [layer for layer in made if getattr(type(layer), "enable_lora", None) in _ENABLING]


def refuse_apart(model: keras.Model, path: str) -> None:
    """Raises BridgeError for a file in the legacy layout, which has adapters apart; Keras itself reads them wrongly."""
    if found := _adapted(model):
        raise BridgeError(
            f"{path}: {found[0].name} ({type(found[0]).__name__}) has LoRA adapters, which this kind of file keeps "
            "apart, and Keras itself forgets their lora_alpha.\n"
            "Save the model as .keras or .weights.h5, which merge them."
        )


def without_adapters(model: keras.Model) -> keras.Model:
    """The model, filled from a file, with the adapters of its layers taken out, but those of quantized layers, which
    are refused.
    """
    found = [layer for layer in _adapted(model) if getattr(layer, "quantization_mode", None) is None]
    for layer in found:
        for variable in [v for v in layer.variables if v.name.startswith("lora_")]:
            layer._untrack_variable(variable)
        layer.lora_enabled, layer.lora_rank = False, None
        for variable in layer._trainable_variables:  # those with an adapter were frozen
            variable.trainable = layer.trainable
    if found:
        _merged[model] = [layer.name for layer in found]
    return model


def note(model: keras.Model, graph: Graph) -> None:
    """Tells whoever converts the model of the adapters that it had."""
    if names := _merged.get(model):
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        graph.source["notes"] = [*graph.source.get("notes", []), f"{shown}: {MERGED}"]
