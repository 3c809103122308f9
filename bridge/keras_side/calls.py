"""Calls of layers that take several tensors: which tensor is which argument, masks and states among them."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import tensorflow as tf

from bridge.graph.recurrent import RECURRENT
from bridge.keras_side import attention, recurrent

Named = dict[str, Any]


def arguments(layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Named | None:
    """The call's arguments by name, those left out that are None or the training flag. None: the layer takes no names.

    A mask is called mask or ..._mask, the state of a recurrent layer state0, state1, ...
    """
    if attention.is_attention(layer):
        named = attention.arguments(layer, args, kwargs)
    elif type(layer).__name__ in RECURRENT:
        bound = dict(inspect.signature(layer.call).bind(*args, **kwargs).arguments)
        named = {"sequences": bound["sequences"], "mask": bound.get("mask")}
        named |= {f"state{i}": state for i, state in enumerate(keras.tree.flatten(bound.get("initial_state")))}
    else:
        return None
    return {name: value for name, value in named.items() if value is not None}


def tensors(named: Named) -> dict[str, tf.Tensor]:
    """The tensors among the arguments, each by its argument's name."""
    return {name: value for name, value in named.items() if tf.is_tensor(value)}


def without_masks(named: Named) -> dict[str, tf.Tensor]:
    return {name: value for name, value in tensors(named).items() if not name.endswith("mask")}


def described(named: Named) -> Named:
    """What a node's config says of its call: the names of its tensors, in order, and the other arguments."""
    given = tensors(named)
    return {"call": {"tensors": list(given)} | {name: value for name, value in named.items() if name not in given}}


def output_shapes(layer: keras.Layer, named: Named | None, said: list[Any]) -> list[tuple[int | None, ...]]:
    """The shapes of the outputs, from the specs that Keras says they have."""
    if named is not None and attention.is_attention(layer):
        return attention.output_shapes(named, said)
    if type(layer).__name__ in RECURRENT:
        return recurrent.output_shapes(layer, said)
    return [tuple(spec.shape) for spec in said]
