"""Layers with LoRA adapters, as plain ones: Keras's files hold their weights with the adapters merged into them."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import keras

from bridge.graph import Graph

MERGED = "its LoRA adapters are merged into its weights, as in Keras's own files; in torch the weights themselves train"
_merged: WeakKeyDictionary[keras.Model, list[str]] = WeakKeyDictionary()


def without_adapters(model: keras.Model) -> keras.Model:
    """The model, with the adapters of its layers taken out; their weights are to be filled from a file.

    The adapters of a quantized layer stay: such layers are refused.
    """
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "lora_enabled", False)]
    layers = [layer for layer in layers if getattr(layer, "quantization_mode", None) is None]
    for layer in layers:
        for variable in [v for v in layer.variables if v.name.startswith("lora_")]:
            layer._untrack_variable(variable)
        layer.lora_enabled, layer.lora_rank = False, None
        for variable in layer._trainable_variables:  # those with an adapter were frozen
            variable.trainable = layer.trainable
    if layers:
        _merged[model] = [layer.name for layer in layers]
    return model


def note(model: keras.Model, graph: Graph) -> None:
    """Tells whoever converts the model of the adapters that it had."""
    if names := _merged.get(model):
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        graph.source["notes"] = [*graph.source.get("notes", []), f"{shown}: {MERGED}"]
