"""Which object of a checkpoint is which of a model, by the names of attributes; numbered layers by names and order."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras.src.backend.common import KerasVariable

from bridge.keras_side.checkpoints.objects import Objects, titles
from bridge.keras_side.files.legacy import pairing
from bridge.keras_side.files.legacy.content import Group
from bridge.keras_side.files.legacy.matching import layer_pairs

Pairs = list[tuple[Any, Any, int]]  # a layer, its variable, and the number of that in the file
Found = dict[str, tuple[int, Pairs, list[str]]]
# attributes that Keras 3 calls otherwise than Keras 2 did
_RENAMED = {"depthwise_kernel": "kernel"}


def models(model: keras.Model, objects: Objects, name: str, renamed: dict[str, str]) -> Found:
    """What the model may be in the file: {its name there: (its object, the pairs, notes)}; empty if nothing fits.

    renamed: new names of layers -> those in the file. Raises BridgeError if names and order contradict each other.
    """
    found: Found = {}
    for word, node in objects.models().items():
        for inner in objects.shells(node):
            match = _Match(objects, name, renamed)
            match.pair(model, inner, model)
            if match.is_whole(model, inner):
                found[word] = (inner, list(match.pairs.values()), match.notes)
                break
        if "" in found:
            break
    return found


class _Sizes:
    """What layer_pairs asks of a file."""

    ordered = True

    def __init__(self, objects: Objects, name: str):
        self.name, self._variables = name, objects.variables

    def shape(self, path: str) -> tuple[int, ...]:
        return self._variables[int(path)].stored.shape


class _Match:
    """pairs: by the variable's id, with its layer and its number in the file."""

    def __init__(self, objects: Objects, name: str, renamed: dict[str, str]):
        self.objects, self._renamed = objects, renamed
        self.pairs: dict[int, tuple[Any, Any, int]] = {}
        self.notes: list[str] = []
        self._sizes: Any = _Sizes(objects, name)
        self._seen: set[tuple[int, int]] = set()
        self._contradicts = False

    def is_whole(self, model: keras.Model, node: int) -> bool:
        """Whether every weight of the model has one of the file, and every one of the file is used."""
        wanted, held = {id(variable) for variable in model.weights}, {*self.objects.below(node)}
        used = {number for _, _, number in self.pairs.values()}
        return not self._contradicts and bool(wanted) and wanted <= set(self.pairs) and used == held

    def pair(self, item: Any, node: int, layer: Any) -> None:
        """Notes that an object of the model is one of the file, and goes on within. layer: the innermost around it."""
        if (id(item), node) in self._seen:
            return
        self._seen.add((id(item), node))
        if isinstance(item, KerasVariable) or node in self.objects.variables:
            self._pair_variables(item, node, layer)
            return
        layer = item if isinstance(item, keras.Layer) else layer
        if listed := self.objects.layers(node):
            self._pair_layers(item, [inner for inner in listed if self.objects.below(inner)])
        for name, child in self.objects.attributes(node).items():
            found = _named(item, name)
            if found is not None:
                self.pair(found, child, layer)

    def _pair_variables(self, item: Any, node: int, layer: Any) -> None:
        variable = self.objects.variables.get(node)
        if not isinstance(item, KerasVariable) or variable is None:
            self._contradicts = True
            return
        known = self.pairs.setdefault(id(item), (layer, item, node))
        if known[2] != node or math.prod(item.shape) != math.prod(variable.stored.shape):
            self._contradicts = True

    def _pair_layers(self, item: Any, listed: list[int]) -> None:
        layers = list(dict.fromkeys(layer for layer in getattr(item, "layers", ()) if layer.weights))
        if not isinstance(item, keras.Model) or len(layers) != len(listed) or not _numbers_layers(item):
            self._contradicts = True
            return
        groups = self._groups(listed)
        nodes = {id(group): node for group, node in zip(groups, listed, strict=True)}
        pairs = layer_pairs(layers, groups, self._sizes, self._renamed, by_code=False)
        told = [(layer, group) for layer, group in pairs if self._renamed.get(layer.name) != group.name]
        if (line := pairing.by_order_alone(told)) is not None:
            self.notes.append(line)
        for layer, group in pairs:
            self.pair(layer, nodes[id(group)], layer)

    def _groups(self, listed: list[int]) -> list[Group]:
        """Numbered layers with what they are called, as far as the names of their variables tell it."""
        found = self.objects.variables
        held = {f"layer_{n}": [found[v] for v in self.objects.below(node)] for n, node in enumerate(listed)}
        simple = {name: held[name] for name, node in zip(held, listed, strict=True) if not self.objects.layers(node)}
        named = titles(simple)
        weights = {name: {f"w{v.number}": str(v.number) for v in variables} for name, variables in held.items()}
        return [Group(named.get(name, name), each) for name, each in weights.items()]


def _numbers_layers(item: Any) -> bool:
    return isinstance(item, keras.Sequential) or hasattr(item, "operations")


def _named(item: Any, name: str) -> Any:
    """What a layer, a list or a dictionary holds under a name of the file's."""
    if isinstance(item, dict):
        return next((value for key, value in item.items() if str(key) == name), None)
    if isinstance(item, list | tuple):
        return item[int(name)] if name.isdecimal() and int(name) < len(item) else None
    held = vars(item)
    own = [*getattr(item, "_trainable_variables", ()), *getattr(item, "_non_trainable_variables", ())]
    for word in filter(None, (name, _RENAMED.get(name))):
        for found in (held.get(word), held.get(f"_{word}"), *(v for v in own if v.name == word)):
            if isinstance(found, KerasVariable | keras.Layer | list | tuple | dict):
                return found
    return None
