"""The way home from a module of the user's own: its tensors, by map.json, as Keras's weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.graph import Graph
from bridge.torch_side.build import graph_of, load, read_graph, read_map
from bridge.torch_side.part import Take


def folder_graph(folder: Path) -> Graph:
    """The layered graph of a bridge folder with the weights of its model.safetensors, whosever module they are in."""
    mapping = read_map(folder)
    if "into" not in mapping:
        return graph_of(load(folder))
    graph, file = read_graph(folder), folder / "map.json"
    state = _tensors(folder / "model.safetensors")
    arrays = dict(graph.arrays)
    rows = mapping.get("weights")
    for row in rows if isinstance(rows, list) else []:
        try:
            path, key, take = row["keras"], row["torch"], Take.named(row["keras"], row["move"])
            weight = graph.weights[path]
        except (KeyError, TypeError, ValueError) as error:
            raise BridgeError(f"{file}: a row of it can't be read ({error}). Convert again.") from None
        if key not in state or tuple(state[key].shape) != take.shape(weight.shape):
            found = tuple(state[key].shape) if key in state else "missing"
            raise BridgeError(
                f"{folder / 'model.safetensors'}: {key} is {found}, {path} wants {take.shape(weight.shape)}."
            )
        arrays[path] = take.to_keras(state[key], weight.shape).astype(weight.dtype)
    _check_filled(folder, mapping.get("filled"), state)
    return replace(graph, arrays=arrays)


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(existing_file(file, "the weights"))
    except SafetensorError as error:
        raise BridgeError(f"{file}: is not a safetensors file, or it is damaged: {str(error)[:200]}") from None


def _check_filled(folder: Path, filled: Any, state: dict[str, Tensor]) -> None:
    """A tensor that Keras has no weight for must still be what it was filled with, or training it was for nothing."""
    for key, value in (filled if isinstance(filled, dict) else {}).items():
        wanted = {"zeros": 0.0, "ones": 1.0}.get(value)
        if wanted is not None and key in state and not torch.all(state[key] == wanted):
            raise BridgeError(
                f"{folder / 'model.safetensors'}: {key} is no longer {value}, and Keras's model has no weight for it.\n"
                "Freeze it in your training, or give the Keras layer that weight."
            )
