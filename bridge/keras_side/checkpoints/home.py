"""The way home into a checkpoint: the same keys and objects, with a layered model's weights; no optimizer's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from bridge.errors import BridgeError
from bridge.graph import Graph
from bridge.graph.stored import Arrays
from bridge.keras_side.checkpoints import files
from bridge.keras_side.saved_model import pack
from bridge.keras_side.saved_model.checkpoint import OBJECTS
from bridge.keras_side.saved_model.home import check, check_exact, save, weights_of
from bridge.keras_side.saved_model.pack import CHECKPOINT

_MISFIT = "for which its checkpoint has another place, or none"


def write(graph: Graph, prefix: Path, origin: str | None) -> dict[str, Any]:
    """Writes the graph's weights as a checkpoint like the one that it came from. Returns what go_home does.

    origin: the checkpoint that it was converted from, where the graph does not keep all of it. A new head may have
    other shapes: a checkpoint names weights alone. Raises BridgeError if the graph no longer has the same weights.
    """
    kept = pack.unpacked(graph.checkpoint, graph.name, CHECKPOINT)
    if origin is not None:
        if (found := files.find(origin)) is None:
            raise BridgeError(f"{origin}: is no checkpoint of TensorFlow's, as which {graph.name} would go home.")
        kept = pack.of_folder(files.look(found.prefix), kept, graph.name)
    if kept.rest is None:
        raise BridgeError(
            f"{graph.name}: what its checkpoint holds besides its weights was too large to be kept in the converted "
            "model.\nPass the checkpoint that it was converted from: --arch CHECKPOINT"
        )
    values = Arrays(weights_of(graph, kept, _MISFIT, check_exact)) | kept.rest
    if lacks := sorted(set(kept.stored) - set(values)):
        raise BridgeError(f"{graph.name}: what it keeps of its checkpoint is damaged: it has nothing for {lacks[0]}.")
    if OBJECTS in kept.stored:
        values = values | {OBJECTS: _without(values[OBJECTS], values)}
    save(str(prefix), kept, values)
    check(files.look(prefix), values)
    numbers = sum(math.prod(weight.shape) for weight in graph.weights.values())
    return {"weights": len(graph.weights), "parameters": numbers, "kept": 0}


def _without(text: np.ndarray, keys: Iterable[str]) -> np.ndarray:
    """The objects without the tensors that the checkpoint no longer has."""
    held, graph = {*keys}, TrackableObjectGraph.FromString(text.item())
    for node in graph.nodes:
        there = [said for said in node.attributes if said.checkpoint_key in held]
        if len(there) < len(node.attributes):
            del node.attributes[:]
            node.attributes.extend(there)
        del node.slot_variables[:]
    return np.array(graph.SerializeToString(deterministic=True), object)
