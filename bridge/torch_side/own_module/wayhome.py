"""The way home from a module of the user's own: its tensors, by map.json, as Keras's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bridge.errors import BridgeError
from bridge.folder import check_finite, map_rows, read_graph, read_map, weights_of
from bridge.graph import Graph, Weight
from bridge.graph.stored import Arrays
from bridge.keras_side.source import Paths
from bridge.torch_side.tensors import Tensors
from bridge.torch_side.writing import build
from bridge.torch_side.writing.part import Take


def folder_graph(folder: Path, rules: Paths = ()) -> Graph:
    """The layered graph of a bridge folder with the weights of its model.safetensors, whosever module they are in.

    Raises BridgeError if these or map.json don't fit the graph, and CheckFailed if a weight holds NaN or infinity.
    """
    mapping = read_map(folder)
    graph = _mapped(folder, mapping) if "into" in mapping else build.folder_graph(folder, rules)
    check_finite(graph.arrays, str(folder / "model.safetensors"))
    return graph


def _mapped(folder: Path, mapping: dict[str, Any]) -> Graph:
    """The graph with the weights of the user's module, each by its row of map.json."""
    graph, file = read_graph(folder), folder / "map.json"
    weights = weights_of(folder)
    state = Tensors(weights)
    arrays: dict[str, Callable[[], np.ndarray]] = {}
    for row in map_rows(folder, mapping):
        path, key = row["keras"], row["torch"]
        if path not in graph.weights or path in arrays:
            wrong = "twice" if path in arrays else "and is no weight of model.onnx"
            raise BridgeError(f"{file}: {path} is in it {wrong}. Convert again.")
        weight = graph.weights[path]
        take = _take(row, weight, file)
        if key not in state or tuple(state[key].shape) != take.shape(weight.shape):
            found = tuple(state[key].shape) if key in state else "missing"
            raise BridgeError(f"{weights}: {key} is {found}, {path} wants {take.shape(weight.shape)}.")
        arrays[path] = partial(_read, state, key, take, weight)
    if missing := [path for path in graph.weights if path not in arrays and path not in _idle(graph)]:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise BridgeError(
            f"{file}: does not say where {', '.join(missing[:4])}{more} went, so nobody knows the trained values.\n"
            "The file is damaged; convert again."
        )
    _check_filled(weights, mapping.get("filled"), state)
    return replace(graph, arrays=graph.arrays | Arrays(arrays))


def _read(state: Tensors, key: str, take: Take, weight: Weight) -> np.ndarray:
    return take.seen(state[key], weight.shape).astype(weight.dtype, copy=False)


def _take(row: dict[str, Any], weight: Weight, file: Path) -> Take:
    try:
        take = Take.named(weight.path, row["move"])
    except ValueError as error:
        raise BridgeError(f"{file}: a row of it can't be read ({error}). Convert again.") from None
    if not take.fits(len(weight.shape)):
        raise BridgeError(
            f"{file}: {weight.path} has the move {row['move']!r}, which does not fit its shape {weight.shape}. "
            "Convert again."
        )
    return take


def _idle(graph: Graph) -> set[str]:
    """Weights that no module needs: Normalization counts its samples, and never computes with the number."""
    return {
        weight.path
        for layer in graph.layers.values()
        if layer.kind == "Normalization"
        for name, weight in layer.weights.items()
        if name == "count"
    }


def _check_filled(weights: Path, filled: Any, state: Tensors) -> None:
    """A tensor that Keras has no weight for must still be what it was filled with, or training it was for nothing."""
    for key, value in (filled if isinstance(filled, dict) else {}).items():
        wanted = {"zeros": 0.0, "ones": 1.0}.get(str(value))
        if wanted is not None and key in state and not torch.all(state[key] == wanted):
            raise BridgeError(
                f"{weights}: {key} is no longer {value}, and Keras's model has no weight for it.\n"
                "Freeze it in your training, or give the Keras layer that weight."
            )
