"""What a Keras model holds and what of it converts, told from the model itself, once it is loaded."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.graph import notes_of, to_proto
from bridge.keras_side.building import lora
from bridge.keras_side.files.load import load, non_finite
from bridge.keras_side.inspecting.looking import looking
from bridge.keras_side.names import layers_by_path, names
from bridge.keras_side.old import origins
from bridge.keras_side.running.sizes import choose_probe
from bridge.keras_side.saved_model.folder import is_saved_model
from bridge.keras_side.saved_model.model import Operators, Variables
from bridge.keras_side.signature import signature
from bridge.keras_side.source import Source
from bridge.keras_side.tracing.own_layers import is_ruled
from bridge.keras_side.tracing.refusals import Unconvertible
from bridge.keras_side.tracing.time_distributed import is_time_distributed
from bridge.keras_side.tracing.trace import trace
from bridge.keras_side.tracing.tracer import is_known
from bridge.own_rules import Rules, read


def inputs_of(model: keras.Model) -> list[dict[str, Any]]:
    """[{"name", "shape", "dtype"}] of the model's inputs; the shape with the batch axis."""
    return [{"name": v.name, "shape": list(v.shape or ()), "dtype": v.dtype} for v in signature(model)[0]]


def survey(source: Source) -> dict[str, Any]:
    """For `bridge inspect`: inputs, outputs, layers, weights, what convert would refuse, weights that are not finite.

    layers: [{"name", "class", "output_shape" or None, "one_node"}] of those that hold no further ones; what is not one
    node is the user's own code, and becomes operators.
    proto: the layered model, empty where there is none. by_operators: whether it is of a SavedModel's program.
    weights: [{"name": path, "shape", "dtype", "trainable"}]. refusals: every reason.
    notes: what of Keras's training torch will lack.
    """
    rules = read(source.rules)
    with nullcontext({}) if is_saved_model(source.path) else looking() as seen:  # a SavedModel's are compared with it
        model = load(source)
    found = names(model)
    lines: list[str] = []
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    proto = b""
    notes: tuple[str, ...] = ()
    try:
        inputs = inputs_of(model)
        graph = trace(model, rules=rules)  # the proof, which knows what each output is
        origins.note(model, graph)
        lora.note(model, graph)
        choose_probe(model, graph)
        # a layer's body may refuse an option of it; nobody asks for the weights' numbers
        proto = to_proto(graph, most_inside=0).SerializeToString(deterministic=True)
        outputs = [{"name": v.name, "shape": list(v.shape or ()), "dtype": v.dtype} for v in graph.outputs]
        notes = notes_of(graph)
    except Unconvertible as error:
        lines = error.reasons
    except BridgeError as error:
        lines = [str(error)]
    return {
        "model": model.name,
        "keras": keras.__version__,
        "by_operators": isinstance(model, Operators),
        "inputs": inputs,
        "outputs": outputs,
        "layers": [_layer(path, layer, rules) for path, layer in _leaves(layers_by_path(model), rules).items()],
        "weights": [
            {"name": w.path, "shape": list(w.shape), "dtype": w.dtype, "trainable": w.trainable and not w.state}
            for w in found.weights.values()
        ],
        "refusals": lines,
        "notes": list(notes),
        "non_finite": non_finite(model, seen),
        "proto": np.frombuffer(proto, np.uint8),
    }


def _leaves(layers: dict[str, keras.Layer], rules: Rules) -> dict[str, keras.Layer]:
    """Without models, inputs, pipelines, and what is within a layer that is one node as a whole: an attention."""
    ruled = {path for path, layer in layers.items() if is_ruled(layer, rules)}
    known = (path for path, layer in layers.items() if is_known(layer) and not is_time_distributed(layer))
    inner = tuple(f"{path}/" for path in (*known, *ruled))
    others = (keras.Model, keras.layers.InputLayer, keras.layers.Pipeline)
    shown = {
        path: layer
        for path, layer in layers.items()
        if (path in ruled or not isinstance(layer, others)) and not path.startswith(inner)
    }
    return {p: layer for p, layer in shown.items() if not isinstance(layer, Variables) or layer.own}


def _layer(path: str, layer: keras.Layer, rules: Rules) -> dict[str, Any]:
    nodes = getattr(layer, "_inbound_nodes", [])
    outputs = keras.tree.flatten(nodes[0].outputs) if nodes else []
    return {
        "name": path,
        "class": "" if isinstance(layer, Variables) else type(layer).__name__,
        "output_shape": list(outputs[0].shape) if len(outputs) == 1 else None,
        "one_node": is_known(layer) or is_ruled(layer, rules),
    }
