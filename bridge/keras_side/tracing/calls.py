"""Calls of layers that take several tensors: which tensor is which argument, masks and states among them."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import tensorflow as tf

from bridge.graph.bodies.conv_lstm import CONV_LSTM
from bridge.graph.bodies.recurrent_runs import RECURRENT
from bridge.keras_side.tracing import attention, recurrent

Named = dict[str, Any]
_WITH_MASK = ("Softmax", "BatchNormalization", "GlobalAveragePooling1D")  # they compute another thing with a mask
_WITH_MASKS = ("Multiply", "Maximum", "Minimum")  # with those of their inputs; all others only hand masks on


def arguments(layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Named | None:
    """The call's arguments by name, those left out that are None or the training flag. None: the call needs no names.

    A mask is called mask or ..._mask, the state of a recurrent layer state0, state1, ...
    """
    if attention.is_attention(layer):
        named = attention.arguments(layer, args, kwargs)
    elif type(layer).__name__ in (*RECURRENT, *CONV_LSTM):
        bound = dict(inspect.signature(layer.call).bind(*args, **kwargs).arguments)
        named = {"sequences": bound["sequences"], "mask": bound.get("mask")}
        named |= {f"state{i}": state for i, state in enumerate(keras.tree.flatten(bound.get("initial_state")))}
    elif type(layer).__name__ in _WITH_MASK:
        bound = dict(inspect.signature(layer.call).bind(*args, **kwargs).arguments)
        named = {"inputs": bound["inputs"], "mask": bound.get("mask")}
    elif type(layer).__name__ in _WITH_MASKS:
        inputs = keras.tree.flatten((args, kwargs))
        named = {f"input{i}": x for i, x in enumerate(inputs)}
        named |= {f"input{i}_mask": getattr(x, "_keras_mask", None) for i, x in enumerate(inputs)}
    else:
        return None
    masked = any(value is not None for name, value in named.items() if name.endswith("mask"))
    if type(layer).__name__ in (*_WITH_MASK, *_WITH_MASKS) and not masked:
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
        return attention.output_shapes(layer, named, said)
    if type(layer).__name__ in RECURRENT:
        return recurrent.output_shapes(layer, said)
    return [tuple(spec.shape) for spec in said]
