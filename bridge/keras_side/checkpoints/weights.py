"""A checkpoint in the form of Keras's legacy HDF5 layout: each layer with its weights, by their names.

So what is known of that layout, matching by name and by order, holds here too, where objects don't tell more.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from bridge.errors import BridgeError
from bridge.keras_side.checkpoints import by_names, matching
from bridge.keras_side.checkpoints.objects import Objects, titles
from bridge.keras_side.files.legacy import TOP, Matched
from bridge.keras_side.saved_model.checkpoint import Checkpoint
from bridge.keras_side.saved_model.layers import InLayers
from bridge.keras_side.saved_model.objects import Variable


class CheckpointWeights(InLayers):
    """The layers of a checkpoint of variables with names alone, as TensorFlow 1 wrote it.

    notes: what users should know of how it was read. form: what tells which layer a variable is of.
    """

    form = "variables by name alone"

    def __init__(self, checkpoint: Checkpoint, name: str, version: str = "2"):
        super().__init__(checkpoint, name, version)
        self.notes: list[str] = []
        self.ordered = False
        self._list()
        if not self.datasets:
            raise BridgeError(f"{name}: is a checkpoint without weights of a model.")

    @property
    def of_training(self) -> frozenset[str]:
        """The keys of what an optimizer keeps."""
        return frozenset(by_names.of_training(self.checkpoint.stored))

    def _list(self) -> None:
        for layer, variables in by_names.layers(self.checkpoint.stored).items():
            self.hold(layer, variables)


class ObjectWeights(CheckpointWeights):
    """The layers of a checkpoint that tells of objects: by tf.keras 2, or tf.train.Checkpoint."""

    form = "weights by the objects that have them"

    def __init__(self, checkpoint: Checkpoint, name: str):
        self.objects = Objects(checkpoint, name)
        super().__init__(checkpoint, name, "3" if self.objects.is_of_keras_3 else "2")
        self.ordered = True

    @property
    def of_training(self) -> frozenset[str]:
        return frozenset(self.objects.of_training())

    def _list(self) -> None:
        self._take(self.objects.models())

    def matched(self, model: Any, renamed: dict[str, str]) -> Matched | None:
        found = matching.models(model, self.objects, self.name, renamed)
        if len(found) > 1 and "model" in found:
            others = ", ".join(name for name in found if name != "model")
            self.notes.append(f"The checkpoint holds several such models: 'model' was read, not {others}.")
            found = {"model": found["model"]}
        if len(found) > 1:
            raise BridgeError(
                f"{self.name}: holds several models that the architecture fits: {', '.join(found)}.\n"
                "Load the one that is meant with tf_keras, and save its weights alone."
            )
        if not found:
            self._take(self._alike(model))
            return None
        ((name, (node, pairs, said)),) = found.items()
        self._take({name: node})
        self.notes += said
        paths = {variable.number: path for path, variable in self.datasets.items()}
        return [(layer, variable, paths[number]) for layer, variable, number in pairs]

    def _alike(self, model: Any) -> dict[str, int]:
        """Of several models the one whose weights have the sizes that the model's have, if it is one."""
        listed = self.objects.models()
        wanted = Counter(tuple(variable.shape) for variable in model.weights)
        variables = self.objects.variables
        fits = [
            name
            for name, node in listed.items()
            if Counter(variables[n].stored.shape for n in self.objects.below(node)) == wanted
        ]
        return {fits[0]: listed[fits[0]]} if len(fits) == 1 else listed

    def _take(self, models: dict[str, int]) -> None:
        """Makes these the model whose layers are listed; of several, all. The root is more than a part of it."""
        self.groups, self.datasets, self.layers = {""}, {}, {}
        chosen = {"": models[""]} if "" in models else models
        for name, node in chosen.items():
            self._add_model(f"{name}/" if len(chosen) > 1 else "", node)
        if len(chosen) == 1 and "" not in chosen:
            self._tell_of_rest(next(iter(chosen)))

    def _tell_of_rest(self, chosen: str) -> None:
        taken = {variable.number for variable in self.variables}
        left = [self.objects.variables[n] for n in self.objects.below(0) if n not in taken]
        others = dict.fromkeys(variable.path.split("/")[0] for variable in left if variable.stored.shape)
        note = f"Of the checkpoint {chosen!r} was read; left out is {', '.join(others)}."
        self.notes += [note] if others and note not in self.notes else []

    def _add_model(self, prefix: str, node: int) -> None:
        objects = self.objects
        node = objects.shells(node)[-1]
        listed = objects.layers(node)
        held: dict[str, list[int]] = {f"layer_{number}": [layer] for number, layer in enumerate(listed)}
        own = []
        for name, child in objects.attributes(node).items():
            if child in objects.variables:
                own += [child] if child not in own else []  # add_weight and an attribute may name it, each in its way
            else:
                held |= self._parts(name, child)
        seen: set[int] = set()
        found: dict[str, list[Variable]] = {}
        for name, nodes in held.items():
            numbers = [n for inner in nodes for n in objects.below(inner) if n not in seen and n not in own]
            seen |= {*numbers}
            found[name] = [objects.variables[number] for number in numbers]
        named = titles({name: variables for name, variables in found.items() if variables})
        given = {*named.values()}
        for name, variables in found.items():
            place = f"{name}_by_place" if name in given else name  # a person may have called another layer so
            self.hold(f"{prefix}{named.get(name, place)}", variables)
        if own:
            self.hold(f"{prefix}{TOP}", [objects.variables[number] for number in own])

    def _parts(self, name: str, node: int) -> dict[str, list[int]]:
        """The layers that an attribute holds: one, or those of a list or a dictionary."""
        if not self.objects.is_list(node):
            return {name: [node]}
        listed = enumerate(self.objects.listed(node))
        return {f"{name}/{number}": [inner] for number, inner in listed if self.objects.below(inner)}
