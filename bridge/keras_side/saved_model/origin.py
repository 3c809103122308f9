"""What a model that came from a SavedModel or a checkpoint must not forget: notes, and where each weight was."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import keras

from bridge.graph import Graph
from bridge.keras_side.saved_model import pack
from bridge.keras_side.saved_model.folder import Folder

_known: weakref.WeakKeyDictionary[keras.Model, Origin] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Origin:
    """places: path of a weight -> the checkpoint's keys for it; None where weights were changed on the way.

    laid: of the weights that lie there in another way, how. left_out: keys that do not go home.
    """

    folder: Folder
    places: dict[str, list[str]] | None
    notes: list[str] = field(default_factory=list)
    laid: dict[str, pack.Laid] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


def remember(model: keras.Model, origin: Origin) -> None:
    _known[model] = origin


def of(model: keras.Model) -> Origin | None:
    """Where a model came from, if it was a SavedModel or a checkpoint, all of it."""
    return _known.get(model)


def note(model: keras.Model, graph: Graph) -> None:
    """Puts into the graph of a model what users should know, and all that is needed to write that file anew."""
    origin = of(model)
    if origin is None:
        return
    if origin.notes:
        graph.source["notes"] = [*origin.notes, *graph.source.get("notes", [])]
    if origin.places is not None:
        text = pack.packed(origin.folder, origin.places, origin.laid, origin.left_out)
        if origin.folder.is_checkpoint:
            graph.checkpoint = text
        else:
            graph.saved_model = text
