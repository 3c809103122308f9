"""What a weights file holds, layer by layer, told from its headers alone, for either layout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from bridge.keras_side.building import mlp
from bridge.keras_side.files import legacy, tree
from bridge.keras_side.files.hdf5 import Weights

# The order in which Keras numbers the weights of a layer in the layout that does not name them
_NAMES = {
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
    "p_re_lu": ("alpha",),
}


@dataclass(frozen=True)
class Held:
    """One layer's weights: (name, shape, dtype) each. kind: its class in snake case, "" where it is not told."""

    layer: str
    kind: str
    place: str  # the group in the Keras 3 layout, "" in the legacy one
    weights: tuple[tuple[str, tuple[int, ...], str], ...]


def held(file: Weights) -> list[Held]:
    """All layers that have weights, in the order of the model as far as the file tells it."""
    base = legacy.root(file)
    if base is not None:
        return [
            Held(
                group.name,
                "",
                "",
                tuple(
                    (group.inner(weight), file.shape(path), file.dtype(path)) for weight, path in group.weights.items()
                ),
            )
            for group in legacy.groups(file, base)
        ]
    found = []
    for place, keys in sorted(tree.saved(file).items(), key=lambda entry: natural(entry[0])):
        if place.endswith("seed_generator"):
            continue
        kind = re.sub(r"_\d+$", "", place.rpartition("/")[2])
        names = _NAMES.get(kind, ())
        weights = []
        for index, (key, path) in enumerate(sorted(keys.items(), key=lambda entry: natural(entry[0]))):
            name = names[index] if len(keys) <= len(names) else key
            weights.append((name, file.shape(path), file.dtype(path)))
        found.append(Held(layer_path(file, place), kind, place, tuple(weights)))
    return found


def layer_path(file: Weights, place: str) -> str:
    """The Keras name of the layer at `layers/sequential/layers/dense`: `encoder/dense`, where the file tells names."""
    words, names = place.split("/"), []
    for end in range(1, len(words) + 1):
        if words[end - 1] in ("layers", "_layer_checkpoint_dependencies"):
            continue
        inner = "/".join([*words[:end], "vars"])
        name = file.attribute(inner, "name") if inner in file.groups else None
        names.append(name if isinstance(name, str) else words[end - 1])
    return "/".join(names)


def dense_stack(file: Weights) -> list[tuple[tuple[int, ...], bool]] | None:
    """(kernel shape, has a bias) of each layer if all are Dense layers one after the other; None otherwise."""
    stack = []
    for layer in held(file):
        shapes = [shape for _, shape, _ in layer.weights]
        if layer.kind not in ("", "dense") or layer.layer.count("/") or not 1 <= len(shapes) <= 2:
            return None
        if len(shapes[0]) != 2 or shapes[1:] not in ([], [shapes[0][1:]]):
            return None
        stack.append((shapes[0], len(shapes) == 2))
    if not stack or any(a[0][1] != b[0][0] for a, b in pairwise(stack)):
        return None
    return stack


def proposal(file: Weights) -> str | None:
    """The --mlp line, with a blank for each activation, that a plain stack of Dense layers allows."""
    stack = dense_stack(file)
    return None if stack is None else mlp.line([kernel for kernel, _ in stack])


def first_kernel(file: Weights) -> tuple[int, ...] | None:
    """The shape of the first layer's first weight."""
    layers = held(file)
    return layers[0].weights[0][1] if layers else None


def natural(name: str) -> list[tuple[int, str]]:
    """What names sort by so that dense_10 comes after dense_9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,9})", name)]
