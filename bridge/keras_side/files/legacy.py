"""The legacy HDF5 layout of weights: one group a layer, `layer_names` and `weight_names` as attributes.

Written by Keras 1 and 2 and, for names that end in .h5, by Keras 3. Layers are matched by name when all names agree, by
order otherwise; inside a layer the weights by name, by order where the names differ. Keras 0.x had numbers for both:
`layer_0/param_0`.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.names import names as paths_of
from bridge.keras_side.old import backends, kernels, layouts, origins
from bridge.keras_side.old.backends import Backend
from bridge.keras_side.old.origins import Origin, Place
from bridge.keras_side.weights import PASS_OTHER, assign, labelled

TOP = "top_level_model_weights"


@dataclass(frozen=True)
class Group:
    """What the file holds for one layer: weight names as written (`dense/kernel:0`) and where each lies."""

    name: str
    weights: dict[str, str]
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what is one weight now, but several in the file

    def shape(self, weight: str, file: Weights) -> tuple[int, ...]:
        """Of the numbers as they lie in the file, parts put together along the last axis."""
        shapes = [file.shape(path) for path in self.parts.get(weight, (self.weights[weight],))]
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes)) if len(shapes) > 1 else shapes[0]

    def short(self, weight: str) -> str:
        """`kernel` of `dense/kernel:0`."""
        return _words(weight)[-1]

    def inner(self, weight: str) -> str:
        """A weight's name below the layer: `kernel`, or `dense_1/kernel` in a nested model."""
        words = _words(weight)
        return "/".join(words[words.index(self.name) + 1 :] if self.name in words[:-1] else words)


def root(file: Weights) -> str | None:
    """The group that holds the layers: "" in a weights-only file, "model_weights" in a full one, None in neither."""
    for group in ("", "model_weights"):
        if group in file.groups and (file.strings(group, "layer_names") is not None or is_numbered(file, group)):
            return group
    return None


def is_numbered(file: Weights, base: str) -> bool:
    """Whether it is of Keras 0.x, which numbered layers and weights."""
    return isinstance(file.attribute(base, "nb_layers"), int)


def layers_of(file: Weights, base: str) -> list[str]:
    """The names of all layers of the file, in its order."""
    if is_numbered(file, base):
        return [f"layer_{number}" for number in range(min(file.attribute(base, "nb_layers"), len(file.groups)))]
    return file.strings(base, "layer_names") or []


def _weights_of(file: Weights, place: str, numbered: bool) -> list[str]:
    if numbered:
        count = file.attribute(place, "nb_params")
        return [f"param_{number}" for number in range(min(count, len(file.datasets)) if isinstance(count, int) else 0)]
    return file.strings(place, "weight_names") or []


def groups(file: Weights, base: str) -> list[Group]:
    """All layers of the file that have weights, in their order. Every dataset belongs to exactly one."""
    names, numbered = layers_of(file, base), is_numbered(file, base)
    if len(set(names)) < len(names):
        raise BridgeError(f"{file.name}: names a layer twice in its list of layers.")
    found, used = [], set()
    for name in [*names, TOP]:
        place = f"{base}/{name}" if base else name
        if place not in file.groups:
            if name == TOP:
                continue
            raise BridgeError(f"{file.name}: lists the layer {name!r} but holds nothing for it: it is not complete.")
        weights = {}
        for weight in _weights_of(file, place, numbered):
            path = f"{place}/{weight}"
            if path not in file.datasets:
                raise BridgeError(f"{file.name}: lists {name}/{weight} but does not hold it: it is not complete.")
            weights[weight] = path
            used.add(path)
        if weights:
            found.append(Group(name, weights))
    spare = [path for path in file.children(base) if path not in used and not path.startswith("optimizer_weights/")]
    if spare:
        raise BridgeError(f"{file.name}: holds {spare[0]}, which its own list of weights does not name.")
    return found


def backend(file: Weights, base: str | None, asked: str | None) -> Backend:
    """The backend by which a file was written. asked: what the user says of a file that doesn't.

    Raises BridgeError where the file says it, for then there is nothing to say.
    """
    if base is None:
        if asked:
            raise BridgeError(f"{file.name}: is of Keras 3; --backend is for files of Keras 0 and 1.")
        return backends.UNKNOWN
    stated = file.attribute("", "backend") or file.attribute(base, "backend")
    if asked and stated:
        raise BridgeError(f"{file.name}: says itself that {stated} wrote it; --backend is for files that don't.")
    numbered = is_numbered(file, base)
    names = [] if numbered else [name for layer in layers_of(file, base) for name in _listed(file, base, layer)]
    return backends.written_by(asked, stated, _versions(file), names, numbered)


def _listed(file: Weights, base: str, layer: str) -> list[str]:
    return file.strings(f"{base}/{layer}" if base else layer, "weight_names") or []


def _versions(file: Weights) -> list[Any]:
    """Of Keras, as the file says."""
    return [file.attribute(group, "keras_version") for group in ("", "model_weights")]


def fill(model: keras.Model, file: Weights, base: str, written: Backend) -> None:
    """Loads every weight of the file into `model`. Raises BridgeError unless all of both are used."""
    saved = [with_gates(group) for group in groups(file, base)]
    reader = _Reader(model, file, written)
    if reader.origin is None and is_numbered(file, base):
        _refuse_deviations(model, file)
    top = [group for group in saved if group.name == TOP]
    saved = [group for group in saved if group.name != TOP]
    layers = [layer for layer in model.layers if layer.weights]
    for layer, group in _pairs(layers, saved, file.name, reader.renamed):
        reader.fill(group, layer.trainable_weights + layer.non_trainable_weights, labelled(layer))
    own = [v for v in model._trainable_variables + model._non_trainable_variables if any(v is w for w in model.weights)]
    if own or top:
        reader.fill(top[0] if top else Group(TOP, {}), own, labelled(model))
    empty = [variable.path for variable in model.weights if id(variable) not in reader.filled]
    if empty:
        raise BridgeError(f"{file.name}: has nothing for {empty[0]} of the architecture.\n{PASS_OTHER}")
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state") and layer.weights:
            layer.finalize_state()  # Normalization keeps values derived from its weights
    if reader.origin is not None:
        reader.origin.groups = reader.places(layers_of(file, base))
        reader.origin.numbered = is_numbered(file, base)
        stated = {key: file.attribute(base, key) for key in ("keras_version", "backend")}
        reader.origin.stated = {key: str(value) for key, value in stated.items() if value}
        reader.origin.has_config = file.attribute("", "model_config") is not None
        written = reader.origin.written
    if (told := kernels.note(model, written, reader.origin)) is not None:
        origins.say(model, told)


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


def _pairs(layers: list[Any], saved: list[Group], file: str, renamed: dict[str, str]) -> list[tuple[Any, Group]]:
    names = [renamed.get(layer.name, layer.name) for layer in layers]
    by_name = {group.name: group for group in saved}
    if len(layers) != len(saved):
        missing = [name for name in names if name not in by_name]
        spare = [name for name in by_name if name not in names]
        named = f" Only in the architecture: {', '.join(missing)}." if missing and len(missing) < len(names) else ""
        named += f" Only in the file: {', '.join(spare)}." if spare and len(spare) < len(by_name) else ""
        raise BridgeError(
            f"{file}: holds weights for {_count(saved)}, the architecture has {_count(layers)} with weights.{named}\n"
            f"{PASS_OTHER}"
        )
    if set(names) == set(by_name):
        return [(layer, by_name[name]) for layer, name in zip(layers, names, strict=True)]
    return list(zip(layers, saved, strict=True))


class _Reader:
    """Fills a model's variables from a file, and knows afterwards where each one lies in it."""

    def __init__(self, model: keras.Model, file: Weights, written: Backend):
        self.file = file
        self.origin: Origin | None = origins.of(model)
        self.renamed = self.origin.upgrades.renamed if self.origin else {}
        self.paths = {key: weight.path for key, weight in paths_of(model).weights.items()} if self.origin else {}
        self.words = _old_words(model, file)
        self.layouts = {} if self.origin else kernels.by_code(model, _versions(file), written)
        self.filled: dict[int, bytes] = {}  # by the variable's id, the digest of what it was filled with
        self._places: dict[str, dict[str, Place]] = {}

    def fill(self, group: Group, variables: list[Any], label: str) -> None:
        for variable, weight in _matched(group, variables, label, self.file, self.words):
            name = _inner(variable, label)
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
        if name is not None:
            name = layouts.chosen(name, values, tuple(variable.shape))
            values = self._moved(values, name, path, variable)
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
        except ValueError:
            if self.origin is None:
                return values
            raise BridgeError(
                f"{path}: is {values.shape} in {self.file.name}, which is no {name}.\n{PASS_OTHER}"
            ) from None
        return moved if self.origin or moved.shape == tuple(variable.shape) else values

    def _below(self, group: Group) -> str:
        base = root(self.file)
        return f"{base}/{group.name}/" if base else f"{group.name}/"

    def places(self, layers: list[str]) -> list[tuple[str, list[tuple[str, Place]]]]:
        """Of all layers of the file, in its order, the weights and their places."""
        listed = [*layers, *([TOP] if TOP in self._places else [])]
        return [(layer, self._in_file_order(layer)) for layer in listed]

    def _in_file_order(self, layer: str) -> list[tuple[str, Place]]:
        found = self._places.get(layer, {})
        place = self._below(Group(layer, {})).rstrip("/")
        names = _weights_of(self.file, place, is_numbered(self.file, root(self.file) or ""))
        return [(name, found[name]) for name in names if name in found]


def _old_words(model: keras.Model, file: Weights) -> dict[int, str]:
    """What variables are called in files of Keras 1 and 2 where Keras 3 has another word, by their ids."""
    if any(str(version).startswith("3") for version in _versions(file) if version):
        return {}
    kinds = keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D
    depthwise = [layer for layer in model._flatten_layers() if isinstance(layer, kinds) and layer.built]
    return {id(layer.kernel): "depthwise_kernel" for layer in depthwise}


def _matched(
    group: Group, variables: list[Any], label: str, file: Weights, old_words: dict[int, str]
) -> list[tuple[Any, str]]:
    if len(variables) != len(group.weights):
        wanted = ", ".join(f"{_inner(v, label)} {tuple(v.shape)}" for v in variables) or "none"
        held = ", ".join(f"{group.short(w)} {group.shape(w, file)}" for w in group.weights) or "none"
        raise BridgeError(
            f"{label}: the weights in {file.name} are {held}; the architecture wants {wanted}.\n{PASS_OTHER}"
        )
    saved = {weight: _words(weight) for weight in group.weights}
    wanted = [_words(variable.path) for variable in variables]
    for words, variable in zip(wanted, variables, strict=True):
        words[-1] = old_words.get(id(variable), words[-1])
    for depth in (4, 3, 2, 1):
        by_tail = {tuple(words[-depth:]): weight for weight, words in saved.items()}
        tails = [tuple(words[-depth:]) for words in wanted]
        if len(by_tail) == len(saved) and set(tails) == set(by_tail) and len(set(tails)) == len(tails):
            return [(variable, by_tail[tail]) for variable, tail in zip(variables, tails, strict=True)]
    by_shape = _by_shape(group, wanted, variables, file)
    return _by_order(group, saved, variables, wanted, label, file) if by_shape is None else by_shape


def _by_order(
    group: Group, saved: dict[str, list[str]], variables: list[Any], wanted: list[list[str]], label: str, file: Weights
) -> list[tuple[Any, str]]:
    """The first saved kernel to the first kernel, and so on: frozen and trainable weights may have changed places."""
    same = [(words[-1], group.shape(weight, file)) for weight, words in saved.items()] == [
        (words[-1], tuple(variable.shape)) for variable, words in zip(variables, wanted, strict=True)
    ]
    if same and len({bool(variable.trainable) for variable in variables}) == 1:  # then none can have changed places
        return list(zip(variables, saved, strict=True))
    by_word: dict[str, list[str]] = {}
    for weight, words in saved.items():
        by_word.setdefault(words[-1], []).append(weight)
    pairs, owners = [], {}
    for variable, words in zip(variables, wanted, strict=True):
        if not by_word.get(words[-1]):
            raise BridgeError(
                f"{label}: {file.name} holds {', '.join(w[-1] for w in saved.values())} for it, "
                f"and no (further) {words[-1]}.\n{PASS_OTHER}"
            )
        weight = by_word[words[-1]].pop(0)
        here, there = tuple(words[:-1]), tuple(saved[weight][:-1])
        if owners.setdefault(here, there) != there:
            raise BridgeError(
                f"{label}: the weights of {'/'.join(here)} are in {file.name} under {'/'.join(owners[here])} and under "
                f"{'/'.join(there)}: it is not clear which belong together.\n{PASS_OTHER}"
            )
        pairs.append((variable, weight))
    return pairs


_GATE = re.compile(r"(.*)_([WUb])_([icfozrh])(:0)?")
_GATES = ("ifco", "zrh")  # as Keras has had them since 2.0 in one array: of an LSTM, of a GRU


def with_gates(group: Group) -> Group:
    """The group with the arrays that Keras 1 kept for each gate (lstm_1_W_i) as one (lstm_1_W), in Keras's order."""
    if (numbered := _numbered_gates(group)) is not None:
        return numbered
    found: dict[str, dict[str, str]] = {}
    order: dict[str, None] = {}
    for weight in group.weights:
        gate = _GATE.fullmatch(weight)
        word = f"{gate[1]}_{gate[2]}" if gate else weight
        order[word] = None
        if gate:
            found.setdefault(word, {})[gate[3]] = weight
    if not found or any(set(gates) not in map(set, _GATES) for gates in found.values()):
        return group
    parts = {}
    for word, gates in found.items():
        letters = next(letters for letters in _GATES if set(letters) == set(gates))
        parts[word] = tuple(group.weights[gates[letter]] for letter in letters)
    weights = {word: parts[word][0] if word in parts else group.weights[word] for word in order}
    return replace(group, weights=weights, parts=parts)


def _numbered_gates(group: Group) -> Group | None:
    """The same of a file that has numbers: three arrays a gate (W, U, b), an LSTM's gates as i c f o."""
    order = {12: (0, 2, 1, 3), 9: (0, 1, 2)}.get(len(group.weights))
    if order is None or not all(re.fullmatch(r"param_\d+", weight) for weight in group.weights):
        return None
    names = list(group.weights)
    parts = {names[i]: tuple(group.weights[names[3 * gate + i]] for gate in order) for i in range(3)}
    return replace(group, weights={name: group.weights[name] for name in names[:3]}, parts=parts)


def _by_shape(
    group: Group, wanted: list[list[str]], variables: list[Any], file: Weights
) -> list[tuple[Any, str]] | None:
    """In their order, for a file whose names say nothing (param_0, dense_1_W), if all sizes are the wanted ones."""
    known = {words[-1] for words in wanted}
    if any(_words(weight)[-1] in known for weight in group.weights):
        return None
    pairs = list(zip(variables, group.weights, strict=True))
    fits = all(math.prod(variable.shape) == math.prod(group.shape(weight, file)) for variable, weight in pairs)
    return pairs if fits else None


def _words(path: str) -> list[str]:
    return path.rsplit(":", 1)[0].split("/")


def _inner(variable: Any, label: str) -> str:
    """A variable's name below its layer: `kernel`, or `dense_1/kernel` in a nested model."""
    layer, words = label.split(" ")[0], variable.path.split("/")
    return "/".join(words[words.index(layer) + 1 :]) if layer in words[:-1] else words[-1]


def _count(items: list[Any]) -> str:
    return f"{len(items)} layer" + ("s" if len(items) != 1 else "")
