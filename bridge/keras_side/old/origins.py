"""Where a model came from, if from a file of Keras 1 or 2, and the way home into a file that its writer can read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import h5py
import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.graph import Graph
from bridge.keras_side.names import names
from bridge.keras_side.old import layouts
from bridge.keras_side.old.backends import Backend
from bridge.keras_side.old.dialect import Upgraded

ATTRIBUTE_LIMIT = 64512  # bytes; what is longer Keras spreads over several attributes


@dataclass(frozen=True)
class Place:
    """Where a variable's numbers lie in the file.

    part: which of how many equal pieces of the last axis, where the file has several arrays for one variable.
    """

    dataset: str
    variable: Any
    dtype: str
    layout: str | None = None
    part: tuple[int, int] | None = None


@dataclass
class Origin:
    """What the file said. groups: (layer, [(weight as the file calls it, its Place)]) of all layers, in order.

    stated: of version and backend, what stands beside the weights; Keras 1 wrote neither there.
    numbered: whether its layers and weights have numbers for names, as in Keras 0.x.
    """

    text: str
    version: str
    written: Backend
    upgrades: Upgraded
    groups: list[tuple[str, list[tuple[str, Place]]]] = field(default_factory=list)
    stated: dict[str, str] = field(default_factory=dict)
    has_config: bool = True
    numbered: bool = False

    def layout(self, path: str) -> str | None:
        """The layout of the weight with this path, None where the file has it as Keras 3 does."""
        owner = next((path for path in self._owners(path) if path in self.upgrades.layouts), None)
        name = owner and f"{self.upgrades.layouts[owner]}/{path.rpartition('/')[2]}"
        return name if name in layouts.LAYOUTS else None

    @staticmethod
    def _owners(path: str) -> Iterable[str]:
        words = path.split("/")
        return ("/".join(words[:count]) for count in range(len(words) - 1, 0, -1))

    def facts(self, model: keras.Model) -> dict[str, Any] | None:
        """What a layered model must carry for the way home; None if its weights came from elsewhere."""
        if not self.groups:
            return None
        found = names(model).weights
        listed = [
            [layer, [[weight, _facts(place, found[id(place.variable)].path)] for weight, place in weights]]
            for layer, weights in self.groups
        ]
        config: dict[str, Any] = {"config": self.text} if self.has_config else {}
        config |= {"numbered": True} if self.numbered else {}
        # Keras 0 and 1 did not say their backend, and no file of theirs that is written says it
        backend = "" if self.written.why else self.written.name
        return {"version": self.version, "backend": backend, "groups": listed, "stated": self.stated, **config}


_known: WeakKeyDictionary[keras.Model, Origin] = WeakKeyDictionary()
_said: WeakKeyDictionary[keras.Model, list[str]] = WeakKeyDictionary()


def remember(model: keras.Model, origin: Origin) -> None:
    _known[model] = origin


def of(model: keras.Model) -> Origin | None:
    """Where a model that was loaded came from, if its config was of an older Keras."""
    return _known.get(model)


def say(model: keras.Model, text: str) -> None:
    """Keeps what users should know of how a file was read."""
    _said.setdefault(model, []).append(text)


def said(model: keras.Model) -> list[str]:
    return list(dict.fromkeys(_said.get(model, [])))


def _facts(place: Place, path: str) -> dict[str, Any]:
    told = {"dataset": place.dataset, "weight": path, "dtype": place.dtype, "layout": place.layout}
    told["part"] = None if place.part is None else list(place.part)
    return {key: value for key, value in told.items() if value is not None}


def digest(keras_config: str | None) -> str:
    """By which a model is known to be still the one that was converted: a new head would change it."""
    return hashlib.sha256((keras_config or "").encode()).hexdigest()[:16]


def note(model: keras.Model, graph: Graph) -> None:
    """Puts into the graph of a model what the way home needs to know, and what users should."""
    origin = of(model)
    if said(model):
        graph.source["notes"] = [*said(model), *graph.source.get("notes", [])]
    if origin is None:
        return
    if (facts := origin.facts(model)) is not None:
        graph.source["origin"] = {**facts, "of": digest(graph.keras_config)}
    told = origin.upgrades.lines(meaning_alone=True)
    if told:
        first = f"Written by Keras {origin.version}, and read as it was meant: "
        graph.source["notes"] = [first + "; ".join(told) + ".", *graph.source.get("notes", [])]


def fits(graph: Graph, weights_only: bool) -> bool:
    """Whether the graph's weights can go home into a file as its writer made it."""
    told = graph.source.get("origin")
    if not isinstance(told, dict) or not isinstance(told.get("groups"), list):
        return False
    return told.get("of") == digest(graph.keras_config) and (weights_only or isinstance(told.get("config"), str))


def write(graph: Graph, path: Path, weights_only: bool) -> None:
    """Writes the graph's weights in the layout of the file that they came from, its own config with them."""
    told = graph.source["origin"]
    with h5py.File(path, "w") as file:
        try:
            group = file
            if not weights_only:
                if told["backend"]:  # Keras 1 did not say
                    file.attrs["backend"] = told["backend"].encode()
                file.attrs["keras_version"] = told["version"].encode()
                file.attrs["model_config"] = told["config"].encode()
                group = file.create_group("model_weights")
            _weights(group, told, graph)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BridgeError(
                f"{graph.name}: what it says of the file that its weights came from can't be read "
                f"({type(error).__name__}: {str(error)[:100]}).\nWrite a .keras file, or convert again."
            ) from None


def _weights(group: h5py.Group, told: dict[str, Any], graph: Graph) -> None:
    numbered = bool(told.get("numbered"))
    stated = told.get("stated", {"keras_version": told["version"], "backend": told["backend"]})
    for key in ("keras_version", "backend"):
        if stated.get(key):
            group.attrs[key] = stated[key].encode()
    if numbered:
        group.attrs["nb_layers"] = len(told["groups"])
    else:
        _listed(group, "layer_names", [layer for layer, _ in told["groups"]])
    for layer, weights in told["groups"]:
        below = group.require_group(layer)
        if numbered:
            below.attrs["nb_params"] = len(weights)
        else:
            _listed(below, "weight_names", [weight for weight, _ in weights])
        for weight, place in weights:
            below[weight] = _stored(graph.arrays[place["weight"]], place)


def _stored(array: np.ndarray, place: dict[str, Any]) -> np.ndarray:
    if "layout" in place:
        array = layouts.LAYOUTS[place["layout"]].to_file(array)
    if "part" in place:
        number, count = place["part"]
        array = np.split(array, count, axis=-1)[number]
    if np.dtype(place["dtype"]).itemsize > 16:
        raise ValueError(f"{place['dtype']} is no type of numbers")
    return array.astype(place["dtype"], copy=False)


def _listed(group: h5py.Group, name: str, values: list[str]) -> None:
    """A list of names as an attribute, as Keras writes it: over several where one would be too long."""
    data = np.array([value.encode() for value in values])
    parts = max(1, -(-data.nbytes // ATTRIBUTE_LIMIT))
    if parts == 1:
        group.attrs[name] = data if values else np.array([], "S1")
        return
    for number, piece in enumerate(np.array_split(data, parts)):
        group.attrs[f"{name}{number}"] = piece
