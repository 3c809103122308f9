"""The legacy HDF5 layout of weights: one group a layer, `layer_names` and `weight_names` as attributes.

Written by Keras 1 and 2 and, for names that end in .h5, by Keras 3. Layers are matched by name when all names agree, by
order otherwise; inside a layer the weights by name, by order where the names differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.keras_side.hdf5 import Weights
from bridge.keras_side.weights import PASS_OTHER, assign, labelled

TOP = "top_level_model_weights"


@dataclass(frozen=True)
class Group:
    """What the file holds for one layer: weight names as written (`dense/kernel:0`) and where each lies."""

    name: str
    weights: dict[str, str]

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
        if group in file.groups and file.strings(group, "layer_names") is not None:
            return group
    return None


def groups(file: Weights, base: str) -> list[Group]:
    """All layers of the file that have weights, in their order. Every dataset belongs to exactly one."""
    names = file.strings(base, "layer_names") or []
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
        for weight in file.strings(place, "weight_names") or []:
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


def fill(model: keras.Model, file: Weights, base: str) -> None:
    """Loads every weight of the file into `model`. Raises BridgeError unless all of both are used."""
    saved = groups(file, base)
    top = [group for group in saved if group.name == TOP]
    saved = [group for group in saved if group.name != TOP]
    layers = [layer for layer in model.layers if layer.weights]
    filled: dict[int, np.ndarray] = {}
    for layer, group in _pairs(layers, saved, file.name):
        _fill(group, layer.trainable_weights + layer.non_trainable_weights, labelled(layer), file, filled)
    own = [v for v in model._trainable_variables + model._non_trainable_variables if any(v is w for w in model.weights)]
    if own or top:
        _fill(top[0] if top else Group(TOP, {}), own, labelled(model), file, filled)
    empty = [variable.path for variable in model.weights if id(variable) not in filled]
    if empty:
        raise BridgeError(f"{file.name}: has nothing for {empty[0]} of the architecture.\n{PASS_OTHER}")
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state") and layer.weights:
            layer.finalize_state()  # Normalization keeps values derived from its weights


def _pairs(layers: list[Any], saved: list[Group], file: str) -> list[tuple[Any, Group]]:
    names = [layer.name for layer in layers]
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
        return [(layer, by_name[layer.name]) for layer in layers]
    return list(zip(layers, saved, strict=True))


def _fill(group: Group, variables: list[Any], label: str, file: Weights, filled: dict[int, np.ndarray]) -> None:
    for variable, weight in _matched(group, variables, label, file):
        name = _inner(variable, label)
        values = file.read(group.weights[weight])
        assign(variable, values, f"{label}: {name}", file.name)
        if id(variable) in filled and filled[id(variable)].tobytes() != values.tobytes():
            raise BridgeError(
                f"{label}: {name} is shared by two layers here and differs between them in {file.name}.\n{PASS_OTHER}"
            )
        filled[id(variable)] = values


def _matched(group: Group, variables: list[Any], label: str, file: Weights) -> list[tuple[Any, str]]:
    if len(variables) != len(group.weights):
        wanted = ", ".join(f"{_inner(v, label)} {tuple(v.shape)}" for v in variables) or "none"
        held = ", ".join(f"{group.short(w)} {file.shape(path)}" for w, path in group.weights.items()) or "none"
        raise BridgeError(
            f"{label}: the weights in {file.name} are {held}; the architecture wants {wanted}.\n{PASS_OTHER}"
        )
    saved = {weight: _words(weight) for weight in group.weights}
    wanted = [_words(variable.path) for variable in variables]
    for depth in (4, 3, 2, 1):
        by_tail = {tuple(words[-depth:]): weight for weight, words in saved.items()}
        tails = [tuple(words[-depth:]) for words in wanted]
        if len(by_tail) == len(saved) and set(tails) == set(by_tail) and len(set(tails)) == len(tails):
            return [(variable, by_tail[tail]) for variable, tail in zip(variables, tails, strict=True)]
    return _by_order(group, saved, variables, label, file)


def _by_order(
    group: Group, saved: dict[str, list[str]], variables: list[Any], label: str, file: Weights
) -> list[tuple[Any, str]]:
    """The first saved kernel to the first kernel, and so on: frozen and trainable weights may have changed places."""
    same = [(words[-1], file.shape(group.weights[weight])) for weight, words in saved.items()] == [
        (_words(variable.path)[-1], tuple(variable.shape)) for variable in variables
    ]
    if same and len({bool(variable.trainable) for variable in variables}) == 1:  # then none can have changed places
        return list(zip(variables, saved, strict=True))
    by_word: dict[str, list[str]] = {}
    for weight, words in saved.items():
        by_word.setdefault(words[-1], []).append(weight)
    pairs, owners = [], {}
    for variable in variables:
        words = _words(variable.path)
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


def _words(path: str) -> list[str]:
    return path.rsplit(":", 1)[0].split("/")


def _inner(variable: Any, label: str) -> str:
    """A variable's name below its layer: `kernel`, or `dense_1/kernel` in a nested model."""
    layer, words = label.split(" ")[0], variable.path.split("/")
    return "/".join(words[words.index(layer) + 1 :]) if layer in words[:-1] else words[-1]


def _count(items: list[Any]) -> str:
    return f"{len(items)} layer" + ("s" if len(items) != 1 else "")
