"""Recurrent Keras layers: the variables of their cells, and which of them can be a node."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from bridge.graph.bodies.recurrent_runs import CELLS
from bridge.keras_side.old.layers import hard_sigmoid_of_keras2
from bridge.keras_side.old.leaves import LSTM


def is_own(layer: keras.Layer) -> bool:
    """Whether a node can say it all: cells and activations are Keras's own, and no layer in it has a penalty.

    Others are traced as what they compute.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        sides = (layer.forward_layer, layer.backward_layer)
        if not all(_is_built_in(side) and side.activity_regularizer is None for side in sides):
            return False
    return all(_is_built_in(cell) and type(cell).__name__ in CELLS and _acts(cell) for _, cell in _cells(layer, ""))


def _acts(cell: keras.Layer) -> bool:
    """Whether its activations are functions of Keras's own, of any version."""
    own = (getattr(cell, name, None) for name in ("activation", "recurrent_activation"))
    known = ("keras.src.", hard_sigmoid_of_keras2.__module__)
    return all(not inspect.isfunction(each) or each.__module__.startswith(known) for each in own)


def _is_built_in(layer: keras.Layer) -> bool:
    return type(layer).__module__.startswith(("keras.src.layers.", LSTM.__module__))


def weights(layer: keras.Layer) -> dict[str, Any]:
    """The variables of a recurrent layer's cells by graph.bodies.recurrent_runs's words: forward/cell0/kernel."""
    return {
        f"{prefix}{variable.name}": variable
        for prefix, cell in _cells(layer, "")
        for variable in cell._trainable_variables
    }


def output_shapes(layer: keras.Layer, said: list[Any]) -> list[tuple[int | None, ...]]:
    """The shapes of the outputs. Of its backward layer a Bidirectional one says that it is like the forward layer."""
    shapes = [tuple(spec.shape) for spec in said]
    if not isinstance(layer, keras.layers.Bidirectional):
        return shapes
    sides = (layer.forward_layer, layer.backward_layer)
    units = [[cell.units for _, cell in _cells(side, "")][-1] for side in sides]
    units = [sum(units)] if layer.merge_mode == "concat" else units[:1] if layer.merge_mode else units
    states = [size for side in sides for size in keras.tree.flatten(side.state_size)] if layer.return_state else []
    return [*((*shapes[0][:-1], size) for size in units), *((shapes[0][0], size) for size in states)]


def _cells(layer: keras.Layer, prefix: str) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(layer, keras.layers.Bidirectional):
        for side, inner in (("forward", layer.forward_layer), ("backward", layer.backward_layer)):
            yield from _cells(inner, f"{prefix}{side}/")
    elif isinstance(getattr(layer, "cell", None), keras.layers.StackedRNNCells):
        for i, cell in enumerate(layer.cell.cells):
            yield f"{prefix}cell{i}/", cell
    else:
        yield prefix, getattr(layer, "cell", layer)
