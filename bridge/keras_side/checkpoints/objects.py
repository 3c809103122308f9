"""The objects of a checkpoint: layers and what they hold, by the names of attributes; those of training left out.

Keras 2 gives a model's layers as layer-0, layer-1, ..., one of an own class as its attributes; Keras 3 as _operations.
"""

from __future__ import annotations

import functools
import re
from collections import Counter

from bridge.errors import BridgeError
from bridge.keras_side.saved_model.checkpoint import Checkpoint
from bridge.keras_side.saved_model.objects import LISTS, VALUE, Variable

COUNTER = "save_counter"  # what tf.train.Checkpoint counts its files by
# an optimizer by the names of what it holds, by its generation
_OPTIMIZER = ({"_iterations", "_learning_rate"}, {"iter", "learning_rate"}, {"iter", "decay"})
# what metrics hold: a class of one's own may keep a keras.metrics.Mean of its loss
_METRIC = {"total", "count", "true_positives", "true_negatives", "false_positives", "false_negatives", "accumulator"}
_TRAINING = {
    *LISTS,
    "optimizer",
    "_optimizer",
    "_metrics",
    "compiled_metrics",
    "compiled_loss",
    "_compile_metrics",
    COUNTER,
}
_RANDOM = {"_random_generator", "_state_var", "_rng", "seed_generator", "_seed_generators"}  # state that is no weight
_LAYER, _WEIGHTED = re.compile(r"layer-(\d{1,9})"), re.compile(r"layer_with_weights-(\d{1,9})")
_MOST_SHELLS = 8
_MODEL_OF_KERAS_3, _OPERATIONS = "_functional", "_operations"


class Objects:
    """What the object graph of a checkpoint says. variables: those of the file, by the numbers of their objects.

    Raises BridgeError if it refers to what is not there.
    """

    def __init__(self, checkpoint: Checkpoint, name: str):
        self._nodes = checkpoint.objects.nodes
        self._inner: dict[int, dict[str, int]] = {}
        self._below: dict[int, list[int]] = {}
        self._trains: dict[int, bool] = {}
        self.variables: dict[int, Variable] = {}
        known = range(len(self._nodes))
        if not known or any(c.node_id not in known for node in self._nodes for c in node.children):
            raise BridgeError(f"{name}: its objects refer to others that are not there: damaged.")
        self._lacking: dict[int, str] = {}
        for number, node in enumerate(self._nodes):
            for said in node.attributes:
                if said.name == VALUE:
                    if (stored := checkpoint.stored.get(said.checkpoint_key)) is None:
                        self._lacking[number] = said.checkpoint_key
                        continue
                    path = said.checkpoint_key.partition("/.ATTRIBUTES/")[0]
                    self.variables[number] = Variable(said.full_name or path, path, stored, True, number)
        if lacks := [key for number, key in self._lacking.items() if number in self._reachable]:
            raise BridgeError(
                f"{name}: its objects have a weight {lacks[0]!r} that it does not hold: it is not complete."
            )

    def of_training(self) -> set[str]:
        """The keys of what an optimizer and the like keep."""
        nodes = {slot.slot_variable_node_id for node in self._nodes for slot in node.slot_variables}
        for node in self._nodes:
            names = {c.node_id: c.local_name for c in node.children}
            nodes |= {n for n, name in names.items() if self.trains(n) or name in _TRAINING - {COUNTER}}
        waiting = [node for node in nodes if node < len(self._nodes)]
        while waiting:
            inner = {c.node_id for c in self._nodes[waiting.pop()].children} - nodes
            nodes |= inner
            waiting += inner
        kept = self._reachable
        return {self.variables[node].stored.key for node in nodes if node in self.variables and node not in kept}

    def children(self, node: int) -> dict[str, int]:
        """What an object holds, by its names for it; nothing of training, and no state of random numbers."""
        if node not in self._inner:
            self._inner[node] = {
                c.local_name: c.node_id
                for c in self._nodes[node].children
                if c.node_id != node
                and c.local_name not in _TRAINING | _RANDOM
                and not (self.trains(c.node_id) or c.local_name.endswith("/.ATTRIBUTES"))
            }
        return self._inner[node]

    def trains(self, node: int) -> bool:
        """Whether an object is an optimizer, or a metric."""
        if node not in self._trains:
            said = self._nodes[node]
            names = {c.local_name for c in said.children}
            measures = bool(names) and names <= _METRIC and all(c.node_id in self.variables for c in said.children)
            optimizes = bool(len(said.slot_variables)) or any(known <= names for known in _OPTIMIZER)
            self._trains[node] = measures or optimizes
        return self._trains[node]

    def below(self, node: int) -> list[int]:
        """The numbers of the variables of an object and of those within it, each once."""
        if node not in self._below:
            self._below[node] = self._walk(node)
        return self._below[node]

    def listed(self, node: int) -> list[int]:
        """The objects in a list, in its order."""
        numbered = {int(name): inner for name, inner in self.children(node).items() if name.isdecimal()}
        return [numbered[number] for number in sorted(numbered)]

    def is_list(self, node: int) -> bool:
        inner = self.children(node)
        return bool(inner) and node not in self.variables and all(name.isdecimal() for name in inner)

    def layers(self, node: int) -> list[int]:
        """The layers of a model that numbers them, those without weights too; none of any other object."""
        inner = self.children(node)
        if _MODEL_OF_KERAS_3 in inner and _MODEL_OF_KERAS_3 not in self.children(inner[_MODEL_OF_KERAS_3]):
            return self.layers(inner[_MODEL_OF_KERAS_3])
        if _OPERATIONS in inner:
            return self.listed(inner[_OPERATIONS])
        for pattern in (_LAYER, _WEIGHTED):
            found = {int(match[1]): child for name, child in inner.items() if (match := pattern.fullmatch(name))}
            if found:
                return [found[number] for number in sorted(found)]
        return []

    def attributes(self, node: int) -> dict[str, int]:
        """What an object holds besides numbered layers, as far as there are variables in it."""
        known = {*self.layers(node)} if self.layers(node) else set()
        return {
            name: child
            for name, child in self.children(node).items()
            if name not in (_MODEL_OF_KERAS_3, _OPERATIONS) and child not in known and self.below(child)
        }

    def shells(self, node: int) -> list[int]:
        """An object, and the models that it, and each of them, is but a shell of: that holds one model and no more."""
        found = [node]
        while not self.layers(node) and len(found) < _MOST_SHELLS:
            inner = list(self.attributes(node).values())
            if len(inner) != 1 or not self.is_model(inner[0]):
                break
            node = inner[0]
            found.append(node)
        return found

    def is_model(self, node: int) -> bool:
        """Whether it holds layers: in their order, or as attributes."""
        inner = self.attributes(node).values()
        return bool(self.layers(node)) or any(child not in self.variables for child in inner)

    @property
    def is_of_keras_3(self) -> bool:
        return any(c.local_name in (_OPERATIONS, "_inbound_nodes") for node in self._nodes for c in node.children)

    def models(self) -> dict[str, int]:
        """What may be a whole model: the root, or what a tf.train.Checkpoint holds, by its names for it."""
        if self.layers(0):
            return {"": 0}
        held = {name: child for name, child in self.attributes(0).items() if child not in self.variables}
        counts = any(c.local_name == COUNTER for c in self._nodes[0].children)
        return held if held and counts else {"": 0} | held

    @functools.cached_property
    def _reachable(self) -> set[int]:
        """All objects that are not of training alone."""
        seen, waiting = {0}, [0]
        while waiting:
            inner = [child for child in self.children(waiting.pop()).values() if child not in seen]
            seen |= {*inner}
            waiting += inner
        return seen

    def _walk(self, node: int) -> list[int]:
        seen, found, waiting = {node}, [], [node]
        while waiting:
            here = waiting.pop()
            if here in self.variables:
                found.append(here)
            inner = [child for child in dict.fromkeys(self.children(here).values()) if child not in seen]
            waiting += reversed(inner)
            seen |= {*inner}
        return found


def titles(held: dict[str, list[Variable]]) -> dict[str, str]:
    """What layers are called, by the names of their variables: dense of dense/kernel, where these tell."""
    words = {name: [v.name.split("/") for v in variables] for name, variables in held.items()}
    # a word that several layers' variables begin with is no layer's: the model's own name
    firsts = Counter(word for paths in words.values() for word in {path[0] for path in paths if len(path) > 1})
    shared = {word for word, count in firsts.items() if count > 1}
    found: dict[str, str] = {}
    for name, paths in words.items():
        inner = [path[1:] if path[0] in shared and len(path) > 2 else path for path in paths]
        begins = {path[0] for path in inner if len(path) > 1}
        if len(begins) == 1 and all(len(path) > 1 for path in inner):
            found[name] = begins.pop()
    count = Counter(found.values())
    return {name: title for name, title in found.items() if count[title] == 1 and not re.search(r"[:\s]", title)}
