"""Calls of attention layers: which tensor is which argument, what comes out, and what becomes of the masks."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import tensorflow as tf

HEADS = ("MultiHeadAttention", "GroupedQueryAttention")  # they take query, value, ... and hold layers
_LISTS = ("Attention", "AdditiveAttention")  # they take lists of tensors and of masks


def is_attention(layer: keras.Layer) -> bool:
    return type(layer).__name__ in (*HEADS, *_LISTS)


def arguments(layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The call's arguments by name, without the training flag."""
    named = dict(inspect.signature(layer.call).bind(*args, **kwargs).arguments)
    named.pop("training", None)
    if type(layer).__name__ == "MultiHeadAttention":  # it looks at the mask that its query has, and at no other
        named["query_mask"] = getattr(named["query"], "_keras_mask", None)
    if type(layer).__name__ in _LISTS:
        masks = named.pop("mask", None) or []
        named = dict(zip(("query", "value", "key"), named.pop("inputs"), strict=False)) | named
        named |= dict(zip(("query_mask", "value_mask"), masks, strict=False))  # a key's own mask is not looked at
    return named


def output_shapes(layer: keras.Layer, named: dict[str, Any], said: list[Any]) -> list[tuple[int | None, ...]]:
    """The shapes of the outputs. MultiHeadAttention says of its scores that there are as many keys as queries."""
    shapes = [tuple(spec.shape) for spec in said]
    if len(shapes) > 1 and type(layer).__name__ in HEADS:
        query, value = tuple(named["query"].shape), tuple(named["value"].shape)
        axes = getattr(layer, "attention_axes", None) or tuple(range(1, len(query) - 1))
        others = [size for axis, size in enumerate(query[:-1]) if axis not in axes]
        shapes[1] = (*others, shapes[1][1], *(query[axis] for axis in axes), *(value[axis] for axis in axes))
    return shapes


def pass_masks_on(layer: keras.Layer, named: dict[str, Any], outputs: list[tf.Tensor]) -> None:
    """Masks as MultiHeadAttention leaves them: the query's goes to the output, and is gone from all three inputs."""
    if type(layer).__name__ == "MultiHeadAttention":
        for name in ("query", "value", "key"):
            if name in named:
                keras.src.backend.set_keras_mask(named[name], None)
        if "query_mask" in named:
            keras.src.backend.set_keras_mask(outputs[0], named["query_mask"])
