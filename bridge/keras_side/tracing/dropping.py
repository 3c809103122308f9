"""Recurrent layers of Keras's own that are traced operator by operator: what of their dropout is alive in training."""

from __future__ import annotations

from typing import Any

import keras

from bridge.graph.bodies.recurrent_runs import RECURRENT
from bridge.graph.layer import DROPOUTS
from bridge.keras_side.tracing import recurrent
from bridge.keras_side.tracing.refusals import BUILT_IN

_CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


def drops_by_operators(layer: keras.Layer, kwargs: dict[str, Any]) -> bool:
    """Whether the layer, which is no node, drops numbers in training: its cells have functions of the user's own."""
    if not type(layer).__module__.startswith(BUILT_IN) or kwargs.get("training") is False:
        return False
    if not (is_layer(layer) or isinstance(layer, _CELLS)):
        return False
    return any(getattr(each, name, 0) for each in layer._flatten_layers() for name in DROPOUTS)


def is_layer(layer: keras.Layer) -> bool:
    """Whether it is a layer, which draws anew for each batch, and no cell that the user's own code calls."""
    kind = type(layer).__name__
    return kind in RECURRENT and not isinstance(layer, keras.layers.Bidirectional) and not recurrent.is_own(layer)


def lack(described: str) -> str:
    """A note of a cell's dropout: Keras draws it once and keeps it, until code that calls the cell resets it."""
    return f"Training in torch will lack the dropout of {described}, which the model's own code calls step by step."
