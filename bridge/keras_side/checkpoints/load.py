"""A Keras model by the user's architecture, filled from a checkpoint of TensorFlow's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.keras_side.checkpoints import files
from bridge.keras_side.checkpoints.weights import CheckpointWeights, ObjectWeights
from bridge.keras_side.names import names
from bridge.keras_side.old import origins
from bridge.keras_side.saved_model import origin
from bridge.keras_side.saved_model.checkpoint import OBJECTS, Checkpoint
from bridge.keras_side.saved_model.pack import Laid
from bridge.keras_side.source import Source


def read(path: str | Path) -> tuple[files.Found, CheckpointWeights]:
    """Which checkpoint a path means, and its weights. Raises BridgeError if it is damaged or not all there."""
    found = files.find(path)
    if found is None:
        raise BridgeError(f"{path}: no such checkpoint.")
    checkpoint = Checkpoint(files.look(found.prefix))
    kind = ObjectWeights if OBJECTS in checkpoint.stored else CheckpointWeights
    return found, kind(checkpoint, found.prefix.name)


def load(source: Source, filled: Callable[[Source, Any, Any], keras.Model]) -> keras.Model:
    """The model. filled: builds it by --arch or --mlp and fills it from weights."""
    found, weights = read(source.path)
    model = filled(source, weights, None)
    for line in [found.note, *weights.notes]:
        if line:
            origins.say(model, line)
    places, laid = _places(model, weights)
    origin.remember(model, origin.Origin(weights.checkpoint.folder, places, laid=laid, left_out=weights.of_training))
    return model


def _places(model: keras.Model, weights: CheckpointWeights) -> tuple[dict[str, list[str]] | None, dict[str, Laid]]:
    """The key of each weight, None where one was made anew; and of those that lie there in another way, how."""
    places, laid = {}, {}
    for path, variable in names(model).variables.items():
        came = weights.came.get(id(variable))
        if came is None or len(came.paths) != 1:
            return None, {}
        places[path] = [weights.datasets[came.paths[0]].stored.key]
        if came.layout is not None:
            laid[path] = Laid(came.layout)
    return places, laid
