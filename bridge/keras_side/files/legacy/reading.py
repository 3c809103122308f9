"""The weights of a file of the legacy layout into a model, all of both, and where each one lay."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.files.legacy import pairing
from bridge.keras_side.files.legacy.content import (
    TOP,
    Came,
    Group,
    Matched,
    groups,
    is_before_keras2,
    is_numbered,
    layers_of,
    versions,
    weights_of,
)
from bridge.keras_side.files.legacy.gates import with_gates
from bridge.keras_side.files.legacy.matching import by_names, inner_name, layer_pairs, weight_pairs
from bridge.keras_side.names import names as paths_of
from bridge.keras_side.old import kernels, layouts, origins
from bridge.keras_side.old.backends import Backend
from bridge.keras_side.old.origins import Origin, Place
from bridge.keras_side.weights import PASS_OTHER, assign, labelled


def fill(model: keras.Model, file: Weights, base: str, written: Backend) -> None:
    """Loads every weight of the file into `model`. Raises BridgeError unless all of both are used.

    written: the backend by which the file was. Afterwards file.came tells, by the variable's id, where each lay.
    """
    reader = _Reader(model, file, base, written)
    known = file.matched(model, reader.renamed)
    saved = [with_gates(group, file) for group in groups(file, base)]
    if reader.origin is None and is_numbered(file, base):
        _refuse_deviations(model, file)
    if known is not None:
        reader.fill_known(known, saved)
    else:
        reader.fill_all(saved)
    empty = [variable.path for variable in model.weights if id(variable) not in reader.filled]
    if empty:
        raise BridgeError(f"{file.name}: has nothing for {empty[0]} of the architecture.\n{PASS_OTHER}")
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state") and layer.weights:
            layer.finalize_state()  # Normalization keeps values derived from its weights
    file.came = reader.came
    if reader.origin is not None:
        reader.origin.groups = reader.places(layers_of(file, base))
        reader.origin.numbered = is_numbered(file, base)
        stated = {key: file.attribute(base, key) for key in ("keras_version", "backend")}
        reader.origin.stated = {key: str(value) for key, value in stated.items() if value}
        reader.origin.has_config = file.attribute("", "model_config") is not None
        written = reader.origin.written
    is_undated = is_before_keras2(file, base) and not any(versions(file))
    for line in kernels.notes(model, is_undated, written, reader.origin):
        origins.say(model, line)


def _refuse_deviations(model: keras.Model, file: Weights) -> None:
    layer = next(
        (layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)), None
    )
    if layer is not None:
        raise BridgeError(
            f"{labelled(layer)}: {file.name} is of Keras 0.x, which kept a deviation where Keras keeps a variance, and "
            "added epsilon to it.\nPass the architecture as Keras 0.x wrote it, whose layers are read so: "
            "--arch config.json (model.to_json())"
        )


class _Reader:
    """Fills a model's variables from a file, and knows afterwards where each one lies in it."""

    def __init__(self, model: keras.Model, file: Weights, base: str, written: Backend):
        self.model, self.file, self.base = model, file, base
        self.origin: Origin | None = origins.of(model)
        self.renamed = self.origin.upgrades.renamed if self.origin else {}
        self.paths = {key: weight.path for key, weight in paths_of(model).weights.items()} if self.origin else {}
        self.words = _old_words(model, file)
        self.layouts = {} if self.origin else kernels.by_code(model, is_before_keras2(file, base), written)
        self.filled: dict[int, bytes] = {}  # by the variable's id, the digest of what it was filled with
        self.came: dict[int, Came] = {}
        self._places: dict[str, dict[str, Place]] = {}

    def fill_all(self, saved: list[Group]) -> None:
        """Everything, matched by names and by order."""
        top = [group for group in saved if group.name == TOP]
        saved = [group for group in saved if group.name != TOP]
        layers = [layer for layer in self.model.layers if layer.weights]
        pairs = layer_pairs(layers, saved, self.file, self.renamed, by_code=self.origin is None)
        self.tell(pairs)
        for layer, group in pairs:
            self.fill_layer(layer, group)
        listed = self.model._trainable_variables + self.model._non_trainable_variables
        own = [v for v in listed if any(v is w for w in self.model.weights)]
        if own or top:
            self.fill(top[0] if top else Group(TOP, {}), own, labelled(self.model))

    def fill_known(self, known: Matched, saved: list[Group]) -> None:
        """Everything, as the file itself says what belongs where."""
        places = {path: (group, weight) for group in saved for weight, path in group.weights.items()}
        for layer, variable, path in known:
            self._take(*places[path], variable, labelled(layer))

    def tell(self, pairs: list[tuple[Any, Group]]) -> None:
        renamed = [(layer, group) for layer, group in pairs if self.renamed.get(layer.name) != group.name]
        if (line := pairing.by_order_alone(renamed)) is not None:
            origins.say(self.model, line)

    def fill_layer(self, layer: keras.Layer, group: Group) -> None:
        """A nested model's layers each for itself, where their weights' names don't tell which is which."""
        variables, parts = layer.trainable_weights + layer.non_trainable_weights, None
        model = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
        several = isinstance(model, keras.Model) and len(variables) == len(group.weights) and pairing.split([group])[1:]
        if several and by_names(group, variables, self.words) is None:
            parts = pairing.within(model, group, variables, self.file)
            if parts is None:
                origins.say(self.model, f"Weights within {labelled(layer)} are matched by nothing but their order.")
        self.tell(parts or [])
        for inner, part in parts or [(layer, group)]:
            held = inner.trainable_weights + inner.non_trainable_weights
            self.fill(replace(part, name=group.name), held, labelled(layer))

    def fill(self, group: Group, variables: list[Any], label: str) -> None:
        for variable, weight in weight_pairs(group, variables, label, self.file, self.words):
            self._take(group, weight, variable, label)

    def _take(self, group: Group, weight: str, variable: Any, label: str) -> None:
        name = inner_name(variable, label)
        values = self._read(group, weight, variable)
        assign(variable, values, f"{label}: {name}", self.file.name)
        digest = hashlib.sha256(np.ascontiguousarray(values).reshape(-1).view(np.uint8)).digest()
        if self.filled.setdefault(id(variable), digest) != digest:
            raise BridgeError(
                f"{label}: {name} is shared by two layers here and differs between them in {self.file.name}.\n"
                f"{PASS_OTHER}"
            )

    def _read(self, group: Group, weight: str, variable: Any) -> np.ndarray:
        paths = group.parts.get(weight, (group.weights[weight],))
        arrays = [self.file.read(path) for path in paths]
        values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)
        path = self.paths.get(id(variable), variable.path)
        known = self.origin is not None and id(variable) in self.paths
        name = self.origin.layout(path) if self.origin and known else self.layouts.get(id(variable))
        dtype = values.dtype.name
        self.came[id(variable)] = Came(paths, name)
        if name is not None:
            name = layouts.chosen(name, values, tuple(variable.shape))
            values = self._moved(values, name, path, variable)
            self.came[id(variable)] = Came(paths, name)
        if known:
            own = self._places.setdefault(group.name, {})
            for part, stored in enumerate(paths):
                word = stored[len(self._below(group)) :]
                own[word] = Place(word, variable, dtype, name, (part, len(paths)) if len(paths) > 1 else None)
        return values

    def _moved(self, values: np.ndarray, name: str, path: str, variable: Any) -> np.ndarray:
        """The numbers in Keras 3's layout; where only the file's age speaks for the other one, if they then fit."""
        try:
            moved = layouts.LAYOUTS[name].to_keras(values)
            if self.origin or moved.shape == tuple(variable.shape):
                return moved
        except ValueError:
            if self.origin:
                raise BridgeError(
                    f"{path}: is {values.shape} in {self.file.name}, which is no {name}.\n{PASS_OTHER}"
                ) from None
        return layouts.FLIPPED.to_keras(values) if "_flipped/" in name else values

    def _below(self, group: Group) -> str:
        return f"{self.base}/{group.name}/" if self.base else f"{group.name}/"

    def places(self, layers: list[str]) -> list[tuple[str, list[tuple[str, Place]]]]:
        """Of all layers of the file, in its order, the weights and their places."""
        listed = [*layers, *([TOP] if TOP in self._places else [])]
        return [(layer, self._in_file_order(layer)) for layer in listed]

    def _in_file_order(self, layer: str) -> list[tuple[str, Place]]:
        found = self._places.get(layer, {})
        place = self._below(Group(layer, {})).rstrip("/")
        names = weights_of(self.file, place, is_numbered(self.file, self.base))
        return [(name, found[name]) for name in names if name in found]


def _old_words(model: keras.Model, file: Weights) -> dict[int, str]:
    """What variables are called in files of Keras 1 and 2 where Keras 3 has another word, by their ids."""
    if any(str(version).startswith("3") for version in versions(file) if version):
        return {}
    kinds = keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D
    depthwise = [layer for layer in model._flatten_layers() if isinstance(layer, kinds) and layer.built]
    return {id(layer.kernel): "depthwise_kernel" for layer in depthwise}
