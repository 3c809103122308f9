"""Layers with LoRA adapters, as plain ones: most of Keras's files hold weights with the adapters merged into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

import keras
from keras import layers, ops
from keras.src.layers.convolutional.base_conv import BaseConv

from bridge.graph import Graph

MERGED = "its LoRA adapters are merged into its weights, as in Keras's own files; in torch the weights themselves train"
_KINDS = (layers.Dense, layers.EinsumDense, layers.Embedding, BaseConv)
_ENABLING = tuple(kind.enable_lora for kind in _KINDS)
_merged: WeakKeyDictionary[keras.Model, list[str]] = WeakKeyDictionary()


def _adapted(model: keras.Model) -> list[keras.Layer]:
    """The layers with adapters as Keras makes them; a class of the user's may have its own by that name."""
    made = (layer for layer in model._flatten_layers() if getattr(layer, "lora_enabled", False))
    return [layer for layer in made if getattr(type(layer), "enable_lora", None) in _ENABLING]


@contextmanager
def with_alpha() -> Iterator[None]:
    """While this lasts, a layer that is built by its config keeps the lora_alpha in it, which Keras's Dense forgets."""
    with ExitStack() as stack:
        for kind in _KINDS:
            stack.enter_context(mock.patch.object(kind, "enable_lora", _enabling(kind.enable_lora)))
        yield


def _enabling(plain: Callable[..., None]) -> Callable[..., None]:
    def enable(layer: Any, *args: Any, **options: Any) -> None:
        plain(layer, *args, **{"lora_alpha": layer.lora_alpha, **options})

    return enable


def without_adapters(model: keras.Model, apart: bool = False) -> keras.Model:
    """The model, filled from a file, with the adapters of its layers taken out, but those of quantized layers, which
    are refused.

    apart: whether the file has the adapters beside the weights, where most have both as one.
    """
    found = [layer for layer in _adapted(model) if getattr(layer, "quantization_mode", None) is None]
    for layer in found:
        if apart:
            word = "embeddings" if isinstance(layer, layers.Embedding) else "kernel"
            first, second = (getattr(layer, f"lora_{word}_{end}") for end in ("a", "b"))
            weight = getattr(layer, f"_{word}")
            weight.assign(weight + (layer.lora_alpha / layer.lora_rank) * ops.matmul(first, second))
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
