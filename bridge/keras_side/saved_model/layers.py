"""A SavedModel's variables in the form of Keras's legacy HDF5 layout: each layer with its weights, by their names.

So what is known of the dialects of that layout, matching by name and by order, holds here too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.keras_side.files import legacy
from bridge.keras_side.files.legacy import Came, Matched
from bridge.keras_side.saved_model.checkpoint import Checkpoint
from bridge.keras_side.saved_model.metadata import Metadata
from bridge.keras_side.saved_model.objects import Objects, Variable


class InLayers:
    """What `hdf5.Weights` is of an HDF5 file. version: of Keras, as far as it is told.

    ordered: whether its layers are in the model's order. came: see legacy.fill.
    """

    def __init__(self, checkpoint: Checkpoint, name: str, version: str | None):
        self.name, self.checkpoint, self._version = name, checkpoint, version
        self.size = sum(checkpoint.folder.files.values())
        self.groups: set[str] = {""}
        self.datasets: dict[str, Variable] = {}
        self.layers: dict[str, list[str]] = {}
        self.ordered = True
        self.came: dict[int, Came] = {}

    @property
    def declared_bytes(self) -> int:
        return sum(variable.stored.nbytes for variable in self.datasets.values())

    @property
    def variables(self) -> list[Variable]:
        return list(self.datasets.values())

    def read(self, path: str) -> np.ndarray:
        return self.checkpoint.read(self.datasets[path].stored.key)

    def shape(self, path: str) -> tuple[int, ...]:
        return self.datasets[path].stored.shape

    def dtype(self, path: str) -> str:
        return self.datasets[path].stored.dtype

    def children(self, path: str) -> list[str]:
        return [name for name in self.datasets if not path or name.startswith(f"{path}/")]

    def attribute(self, path: str, name: str) -> Any:
        told = {"keras_version": self._version, "backend": "tensorflow"}
        return told.get(name) if not path else None

    def strings(self, path: str, name: str) -> list[str] | None:
        if (path, name) == ("", "layer_names"):
            return [layer for layer in self.layers if layer != legacy.TOP]
        return self.layers.get(path) if name == "weight_names" else None

    def matched(self, model: Any, renamed: dict[str, str]) -> Matched | None:
        """Each variable of the model, with its layer and its path here, where objects tell. renamed: as layer_pairs."""
        return None

    def hold(self, layer: str, variables: list[Variable]) -> None:
        """Adds a layer with its weights."""
        words: list[str] = []
        for variable in variables:
            word = f"{variable.name}:0"
            word = word if word not in words else f"{variable.path}:0"  # two of a name within a nested model
            words.append(word)
            self.datasets[f"{layer}/{word}"] = variable
        self.layers[layer] = words
        self.groups.add(layer)


class LayerWeights(InLayers):
    """The layers of a SavedModel."""

    def __init__(self, checkpoint: Checkpoint, objects: Objects, metadata: Metadata | None, name: str):
        super().__init__(checkpoint, name, metadata.version if metadata else None)
        self.objects = objects
        for number in self._numbers():
            said = metadata.objects.get(number, {}) if metadata else {}
            self._add(str(said.get("name") or objects.paths.get(number) or number), number)
        self._add_own()

    def _numbers(self) -> list[int]:
        """The objects of the model's layers, in its order."""
        if not len(self.objects.nodes):
            return []
        named = {c.local_name: c.node_id for c in self.objects.nodes[0].children}
        counted = {int(n[6:]): node for n, node in named.items() if n.startswith("layer-") and n[6:].isdecimal()}
        if counted:
            return [counted[number] for number in sorted(counted)]
        listed = self.objects.child(0, "layers") or self.objects.child(0, "keras_api", "layers")
        return self.objects.listed(listed)

    def _add_own(self) -> None:
        """The variables that are the model's own, of none of its layers."""
        if not self.layers:
            return
        held = {variable.number for variable in self.variables}
        listed = self.objects.listed(self.objects.child(0, "variables"))
        own = [number for number in listed if number not in held and number in self.objects.variables]
        if own:
            self._hold(legacy.TOP, own)

    def _add(self, layer: str, number: int) -> None:
        if layer in self.layers:
            raise BridgeError(f"{self.name}: names the layer {layer!r} twice.")
        listed = self.objects.child(number, "variables")
        self._hold(layer, self.objects.listed(listed) if listed is not None else self.objects.variables_below(number))

    def _hold(self, layer: str, numbers: list[int]) -> None:
        if any(number not in self.objects.variables for number in numbers):
            raise BridgeError(f"{self.name}: lists a variable of the layer {layer!r} that it does not hold.")
        self.hold(layer, [self.objects.variables[number] for number in numbers])


class Numbered(LayerWeights):
    """The same, in which every number of a tensor is the place of that tensor: shows what becomes of each."""

    def __init__(self, weights: LayerWeights):
        vars(self).update(vars(weights))

    def read(self, path: str) -> np.ndarray:
        number = list(self.datasets).index(path)
        return np.broadcast_to(np.array(number, self.datasets[path].stored.numpy), self.shape(path))
