"""Recurrent Keras layers: the variables of their cells, and which of them can be a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from bridge.graph.recurrent import CELLS


def is_own(layer: keras.Layer) -> bool:
    """Whether all its cells are Keras's own; others are traced as what they compute."""
    return all(
        type(cell).__module__.startswith("keras.src.layers.") and type(cell).__name__ in CELLS
        for _, cell in _cells(layer, "")
    )


def weights(layer: keras.Layer) -> dict[str, Any]:
    """The variables of a recurrent layer's cells by bridge.graph.recurrent's words for them: forward/cell0/kernel."""
    return {
        f"{prefix}{variable.name}": variable
        for prefix, cell in _cells(layer, "")
        for variable in cell._trainable_variables
    }


def _cells(layer: keras.Layer, prefix: str) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(layer, keras.layers.Bidirectional):
        for side, inner in (("forward", layer.forward_layer), ("backward", layer.backward_layer)):
            yield from _cells(inner, f"{prefix}{side}/")
    elif isinstance(getattr(layer, "cell", None), keras.layers.StackedRNNCells):
        for i, cell in enumerate(layer.cell.cells):
            yield f"{prefix}cell{i}/", cell
    else:
        yield prefix, getattr(layer, "cell", layer)
