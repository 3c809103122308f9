"""A Keras model from a SavedModel folder: rebuilt by its Keras metadata, else as its program's operators."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.graph.stored import pieces
from bridge.keras_side.files import legacy
from bridge.keras_side.names import names
from bridge.keras_side.old import origins
from bridge.keras_side.old.backends import Backend
from bridge.keras_side.saved_model import folder as folders
from bridge.keras_side.saved_model import metadata as keras_metadata
from bridge.keras_side.saved_model import origin, program
from bridge.keras_side.saved_model.build import operators
from bridge.keras_side.saved_model.checkpoint import Checkpoint
from bridge.keras_side.saved_model.layers import LayerWeights, Numbered
from bridge.keras_side.saved_model.metadata import Metadata
from bridge.keras_side.saved_model.objects import Objects, Variable
from bridge.keras_side.saved_model.origin import Origin
from bridge.keras_side.saved_model.pack import Laid
from bridge.keras_side.source import Source
from bridge.keras_side.weights import numbers

Filled = Callable[[Source, Any, Any], keras.Model]
FROZEN = (
    "Converted operator by operator from the SavedModel's program, as it was saved for inference: what there was of "
    "Dropout is gone from it, BatchNormalization is frozen.\nThe .keras or .h5 of a Keras model keeps its layers alive."
)


def load(source: Source, filled: Filled) -> keras.Model:
    """The model of a SavedModel folder. filled: builds a model by a config or --arch and fills it from weights.

    Raises BridgeError if the folder is damaged or hostile, or if neither way is possible.
    """
    folder = folders.look(source.path)
    checkpoint = Checkpoint(folder)
    read = program.read(folder)
    told = keras_metadata.read(folder, read)
    _refuse_without_variables(folder, read)
    if source.mlp:
        raise BridgeError(f"{source.path}: a SavedModel says itself how its layers are connected; leave --mlp out.")
    if source.arch:
        return _by_layers(source, read, checkpoint, told, None, filled)
    why = None
    if told is not None and source.signature is None:
        if told.config is not None:
            try:
                return _by_layers(source, read, checkpoint, told, told.config, filled)
            except BridgeError as error:
                why = f"Its Keras config can't be used: {_short(error, source)}"
        else:
            why = f"Its Keras config does not say what the class {told.model_class} computes."
    try:
        return _by_program(source, read, checkpoint, why)
    except BridgeError as error:
        if why is None:
            raise
        raise BridgeError(f"{source.path}: {why}\nIts program: {_short(error, source)}") from error


def _refuse_without_variables(folder: folders.Folder, read: program.Program) -> None:
    held = sum(node.WhichOneof("kind") == "variable" for node in read.graph.object_graph_def.nodes)
    if held and not folder.has_variables:
        raise BridgeError(
            f"{folder.path}: its program has {held} variables, but there is no {folders.INDEX} beside it.\n"
            "Get the whole folder, with its subfolder `variables`."
        )


def read_all(path: str | Path) -> tuple[LayerWeights, Metadata | None, program.Program]:
    """What a SavedModel holds, without building anything of it."""
    folder = folders.look(path)
    read = program.read(folder)
    told = keras_metadata.read(folder, read)
    checkpoint = Checkpoint(folder)
    return LayerWeights(checkpoint, Objects(read, checkpoint), told, Path(path).name), told, read


def _by_layers(
    source: Source,
    read: program.Program,
    checkpoint: Checkpoint,
    told: Metadata | None,
    config: dict[str, Any] | None,
    filled: Filled,
) -> keras.Model:
    objects = Objects(read, checkpoint)
    weights = LayerWeights(checkpoint, objects, told, source.name)
    if not weights.layers:
        raise BridgeError(f"{source.path}: its objects are not those of a Keras model, so no --arch fits it.")
    saved = None if config is None else (json.dumps(config), source.path, told.version if told else None)
    model = filled(source, Numbered(weights), saved)
    came = {path: _only(numbers(variable)) for path, variable in names(model).variables.items()}
    legacy.fill(model, weights, "", Backend("tensorflow"))
    places, laid = _places(model, came, weights, objects)
    origin.remember(model, Origin(checkpoint.folder, places, laid=laid))
    return model


def _places(
    model: keras.Model, came: dict[str, int | None], weights: LayerWeights, objects: Objects
) -> tuple[dict[str, list[str]] | None, dict[str, Laid]]:
    """The keys of each weight, None where one was made anew; and of those that lie in the file in another way, how."""
    places, laid = {}, {}
    other = _laid(model, weights)
    for path, variable in names(model).variables.items():
        found, how = other.get(path, (None, None))
        if how is None:
            number = came.get(path)
            if number is None or not 0 <= number < len(weights.variables):
                return None, {}
            found = weights.variables[number]
        else:
            laid[path] = how
        here = numbers(variable) if how is None else how.to_file(numbers(variable))
        if found.stored.numpy != here.dtype:  # in a wider type, perhaps
            value = objects.checkpoint.read(found.stored.key)
            here = value if np.array_equal(value, here, equal_nan=True) else here
        if not objects.checkpoint.holds(found.stored.key, here):
            return None, {}
        places[path] = _keys(found, objects, here)
    return places, laid


def _laid(model: keras.Model, weights: LayerWeights) -> dict[str, tuple[Variable, Laid]]:
    """The weights, by their paths, that lie in the file in another way than Keras 3 has them: where, and how."""
    came = origins.of(model)
    paths = {key: weight.path for key, weight in names(model).weights.items()}
    return {
        paths[id(place.variable)]: (weights.datasets[f"{layer}/{place.dataset}"], Laid(place.layout))
        for layer, held in (came.groups if came else ())
        for _, place in held
        if place.layout is not None
    }


def _only(array: np.ndarray) -> int | None:
    """The number that is everywhere in an array."""
    first = array.reshape(-1)[0] if array.size else None
    return int(first) if first is not None and all((piece == first).all() for piece in pieces(array)) else None


def _by_program(source: Source, read: program.Program, checkpoint: Checkpoint, why: str | None) -> keras.Model:
    keras.utils.clear_session()
    objects = Objects(read, checkpoint)
    model, found = operators(read, checkpoint, objects, source.signature, unsafe=source.unsafe)
    notes = [*([why] if why else []), FROZEN]
    if count := model.program.own_gradients:
        notes.append(
            f"Its program gives {count} of its operators a gradient of their own (swish does, to save memory); torch "
            "differentiates what they compute."
        )
    if not found:
        notes.append("It holds no variables: what was trained is constants in it, which torch can't train.")
    elif not any(variable.trainable for variable in found.values()):
        notes.append("None of its variables is marked as trainable.")
    held = model.program.variables
    places = {path: _keys(variable, objects, numbers(held[path])) for path, variable in found.items()}
    origin.remember(model, Origin(checkpoint.folder, places, notes))
    return model


def _keys(variable: Variable, objects: Objects, here: np.ndarray) -> list[str]:
    """The keys of a variable, whose numbers these are, and of its twins that hold the same."""
    twins = [stored.key for stored in objects.twins(variable)]
    return [variable.stored.key, *(key for key in twins if objects.checkpoint.holds(key, here))]


def _short(error: BridgeError, source: Source) -> str:
    return " ".join(str(error).removeprefix(f"{source.path}: ").split())[:600]
