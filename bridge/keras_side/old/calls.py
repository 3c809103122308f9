"""Calls of layers that mean less in Keras 3 than they did in Keras 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras

from bridge.keras_side.old.masks import WithoutMask


@contextmanager
def with_masks(attention: bool = True) -> Iterator[None]:
    """While a model of Keras 2 is built: a recurrent layer that is given states uses the mask of its sequence too.

    Keras 3 hands a layer that takes several tensors no mask but one that is an argument of the call.
    attention: whether a MultiHeadAttention looks at masks, as it has since Keras 2.10.
    """
    plain = keras.Layer.__call__

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if args and kwargs.get("initial_state") and kwargs.get("mask") is None:
            mask = getattr(args[0], "_keras_mask", None)
            if mask is not None and isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
                kwargs["mask"] = mask
        if not attention and isinstance(layer, keras.layers.MultiHeadAttention):
            args, kwargs = _unmasked((args, kwargs))
        return plain(layer, *args, **kwargs)

    with mock.patch.object(keras.Layer, "__call__", call):
        yield


def _unmasked(given: Any) -> Any:
    """The tensors of a call without their masks, one that comes twice once."""
    made: dict[int, Any] = {}

    def unmasked(x: Any) -> Any:
        if getattr(x, "_keras_mask", None) is None:
            return x
        if id(x) not in made:
            made[id(x)] = WithoutMask()(x)
        return made[id(x)]

    return keras.tree.map_structure(unmasked, given)
