"""What a model that came from a SavedModel must not forget: notes for the user, and where each weight was."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import keras

from bridge.keras_side.saved_model import pack
from bridge.keras_side.saved_model.folder import Folder

_known: weakref.WeakKeyDictionary[keras.Model, Origin] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Origin:
    """places: path of a weight -> the checkpoint's keys for it; None where weights were changed on the way.

    signature: of the program that was converted; None for a model that was built by its Keras metadata.
    """

    folder: Folder
    places: dict[str, list[str]] | None
    notes: list[str] = field(default_factory=list)
    signature: str | None = None


def remember(model: keras.Model, origin: Origin) -> None:
    _known[model] = origin


def of(model: keras.Model) -> Origin | None:
    """Where a model came from, if it was a SavedModel, all of it."""
    return _known.get(model)


def told(model: keras.Model) -> dict[str, Any]:
    """For the source of the layered graph: the notes, and all that is needed to write the SavedModel anew."""
    origin = of(model)
    if origin is None:
        return {}
    found: dict[str, Any] = {"notes": list(origin.notes)} if origin.notes else {}
    if origin.places is not None:
        found[pack.KEY] = pack.packed(origin.folder, origin.places)
    return found
