"""What a file of the legacy layout says that it holds: a group a layer, a name a weight, and where each lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bridge.errors import BridgeError
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.old import backends
from bridge.keras_side.old.backends import Backend

TOP = "top_level_model_weights"
Matched = list[tuple[Any, Any, str]]  # a layer, its variable, and the path in the file


@dataclass(frozen=True)
class Came:
    """Where a variable's numbers lay in the file, and in which layout if not in Keras 3's."""

    paths: tuple[str, ...]
    layout: str | None


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
        return words_of(weight)[-1]

    def inner(self, weight: str) -> str:
        """A weight's name below the layer: `kernel`, or `dense_1/kernel` in a nested model."""
        words = words_of(weight)
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


def weights_of(file: Weights, place: str, numbered: bool) -> list[str]:
    """The names of the weights of the layer whose group is `place`."""
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
        weights: dict[str, str] = {}
        if not numbered and file.strings(place, "weight_names") is None and file.children(place):
            raise BridgeError(f"{file.name}: the layer {name!r} there has no list of its weights (weight_names).")
        for weight in weights_of(file, place, numbered):
            path = f"{place}/{weight}"
            if weight in weights:
                raise BridgeError(f"{file.name}: lists {name}/{weight} twice.")
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


def versions(file: Weights) -> list[Any]:
    """Of Keras, as the file says at its root and beside its weights."""
    return [file.attribute(group, "keras_version") for group in ("", "model_weights")]


def is_before_keras2(file: Weights, base: str) -> bool:
    """Whether it is of Keras 0 or 1: by its version, else by its weights' names; since Keras 2 some of them say kernel.

    Keras 2 itself takes every file of weights that names no version for one of Keras 1.
    """
    if not all(version is None or str(version).startswith(("0", "1")) for version in versions(file)):
        return False
    return not any(words_of(name)[-1].endswith("kernel") for name in names_of(file, base))


def names_of(file: Weights, base: str) -> list[str]:
    """The names of all weights of the file's layers."""
    numbered = is_numbered(file, base)
    places = [f"{base}/{layer}" if base else layer for layer in layers_of(file, base)]
    return [name for place in places for name in weights_of(file, place, numbered)]


def backend(file: Weights, base: str | None, asked: str | None) -> Backend:
    """The backend by which a file was written. base: where its weights are. asked: what the user says it is.

    Raises BridgeError where the file says it, for then there is nothing to say.
    """
    if base is None:
        if asked:
            raise BridgeError(f"{file.name}: is of Keras 3; --backend is for files of Keras 0 and 1.")
        return backends.UNKNOWN
    stated = file.attribute("", "backend") or file.attribute(base, "backend")
    if asked and stated:
        raise BridgeError(f"{file.name}: says itself that {stated} wrote it; --backend is for files that don't.")
    names = names_of(file, base) if is_before_keras2(file, base) else None
    return backends.written_by(asked, stated, names, is_numbered(file, base))


def words_of(path: str) -> list[str]:
    return path.rsplit(":", 1)[0].split("/")
