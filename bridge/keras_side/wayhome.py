"""The way home: the weights of a layered model, back in a Keras model of the same architecture, as a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.graph import Graph
from bridge.keras_side.building import architecture
from bridge.keras_side.building.lora import without_adapters
from bridge.keras_side.files import assets
from bridge.keras_side.files.write import write
from bridge.keras_side.names import names
from bridge.keras_side.old import origins
from bridge.keras_side.source import Source
from bridge.keras_side.weights import put


def go_home(graph: Graph, output: Path, source: Source | None, weights_only: bool) -> dict[str, Any]:
    """Builds the Keras model, by `source.arch` or by the config in the graph, gives it the weights and writes it.

    Weights of an .h5 of Keras 1 or 2 go home into an .h5 as its writer made it.
    Returns {"weights": how many, "parameters": their sum, "kept": see fill}. Raises BridgeError if the architecture and
    the weights disagree.
    """
    full = output.name.endswith((".h5", ".hdf5")) and not output.name.endswith(".weights.h5")
    numbers = sum(math.prod(weight.shape) for weight in graph.weights.values())
    if full and not (source and source.arch) and origins.fits(graph, weights_only):
        origins.write(graph, output, weights_only)
        return {"weights": len(graph.weights), "parameters": numbers, "kept": 0}
    model = without_adapters(_model(graph, source))
    kept = fill(model, graph, as_configured=not (source and source.arch))
    assets.restore(model, graph)
    if full and not weights_only and (lost := assets.adapted(model)):
        raise BridgeError(
            f"{lost[0]}: Keras leaves the vocabulary of adapted layers out of a full .h5. Write a .keras."
        )
    write(model, output, weights_only=weights_only)
    return {"weights": len(graph.weights), "parameters": numbers, "kept": kept}


def fill(model: keras.Model, graph: Graph, as_configured: bool = False) -> int:
    """Gives each variable of the model the graph's weight of its path. Raises BridgeError unless they are the same.

    as_configured: the model was made by the graph's own config, from which Keras leaves the names of some custom
    layers; then their weights are told by their order. Of a graph that is a part of a model (--from-layer) the whole
    model may be filled: then the other weights stay as the architecture's own code made them. Returns how many these
    are.
    """
    variables = names(model).variables
    if as_configured and _alike(variables, graph):
        variables = dict(zip(graph.weights, variables.values(), strict=True))
    lacks, extra = set(variables) - set(graph.weights), set(graph.weights) - set(variables)
    kept = len(lacks) if "part" in graph.source and not extra else 0
    if kept:
        variables = {path: variable for path, variable in variables.items() if path in graph.weights}
        lacks = set()
    if lacks or extra:
        here, there = (", ".join(sorted(paths)[:3]) or "none" for paths in (lacks, extra))
        raise BridgeError(
            f"{model.name}: its weights are not the converted model's: only here {here}, only there {there}.\n"
            "Pass the architecture that was converted: --arch FILE.py:function"
        )
    for path, variable in variables.items():
        array = graph.arrays[path]
        if tuple(variable.shape) != array.shape:
            raise BridgeError(
                f"{path}: is {array.shape} in the converted model, the architecture wants {tuple(variable.shape)}.\n"
                "Pass an architecture with the new shape (a new head, say): --arch FILE.py:function"
            )
        put(variable, array)
    return kept


def _alike(variables: dict[str, Any], graph: Graph) -> bool:
    """Whether the model has the graph's weights in their order, but for the names of layers."""
    here = [(path.rpartition("/")[2], path.count("/"), tuple(v.shape)) for path, v in variables.items()]
    return here == [(path.rpartition("/")[2], path.count("/"), w.shape) for path, w in graph.weights.items()]


def _model(graph: Graph, source: Source | None) -> keras.Model:
    keras.utils.clear_session()  # names that Keras makes up are those of the first load
    if source is not None and source.arch:
        return architecture.from_arch(source.arch, unsafe=source.unsafe)
    if graph.keras_config is None:
        raise BridgeError(
            f"{graph.name}: its Keras model was a class of its own that has no config, so only code can rebuild it.\n"
            "Pass that code: --arch FILE.py:function"
        )
    with architecture.bounded(graph.weight_bytes, graph.name):
        return architecture.from_json(graph.keras_config, graph.name, unsafe=bool(source and source.unsafe))
