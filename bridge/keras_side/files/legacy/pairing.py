"""Which group of a file is which layer's if their names differ: by order, by numbers, by the names that agree."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.files.legacy.content import Group, words_of

Pairs = list[tuple[Any, Group]]
_TITLES = {"convolution": "conv", "model": "functional"}  # parts of names that Keras itself gave, old -> new


def unlike_names(layers: list[Any], names: list[str], saved: list[Group], file: Weights) -> Pairs:
    """As many layers as groups, of other names: in their order, unless the names say another one.

    Keras numbers the names that it makes up, and an edited file may list them in another order. Raises BridgeError if
    the sizes of the weights leave open which one is meant.
    """
    found: list[Pairs] = []
    in_order = list(zip(layers, saved, strict=True)) if file.ordered else None
    for pairs in (in_order, _by_number(layers, names, saved), _by_rest(layers, names, saved, file)):
        if pairs is not None and _fits(pairs, file) and not any(_same(pairs, other) for other in found):
            found.append(pairs)
    if len(found) > 1:
        doubt = next((a, b) for a, b in zip(found[0], found[1], strict=True) if a[1] is not b[1])
        (layer, here), (_, there) = doubt
        raise BridgeError(
            f"{file.name}: by its order of layers {layer.name} is {here.name!r} there, by their names {there.name!r}, "
            "and both would fit.\nGive the architecture's layers the names that they have in the file."
        )
    pairs = found[0] if found else _by_size(layers, names, saved, file) or in_order
    if pairs is None:
        here, there = (", ".join(names[:6]) for names in (names, [group.name for group in saved]))
        raise BridgeError(
            f"{file.name}: has names alone, no order of layers, and names and sizes leave open which is which: there "
            f"{there}; in the architecture {here}.\n"
            "Give the architecture's layers the names that they have in the file."
        )
    return pairs


def within(model: keras.Model, group: Group, variables: list[Any], file: Weights) -> Pairs | None:
    """The same for the layers of a nested model, which the file has in one group; None if it has not each for itself.

    variables: of the model, in the order in which Keras writes them. Raises BridgeError as `unlike_names`.
    """
    places = {id(variable): place for place, variable in enumerate(variables)}
    layers = sorted(leaves([model]), key=lambda layer: min(places[id(weight)] for weight in layer.weights))
    parts = split([group])
    if len(layers) != len(parts) or sum(len(layer.weights) for layer in layers) != len(variables):
        return None
    pairs = unlike_names(layers, [layer.name for layer in layers], parts, file)
    return pairs if _fits(pairs, file) else None


def by_order_alone(pairs: Pairs) -> str | None:
    """What users should know where layers of equal sizes have other names in the file and nothing but their order."""
    alike: dict[tuple[int, ...], Pairs] = {}
    for layer, group in pairs:
        if layer.name != group.name:
            alike.setdefault(_sizes(layer), []).append((layer, group))
    doubtful = [pair for listed in alike.values() if len(listed) > 1 and not _go_alike(listed) for pair in listed]
    if not doubtful:
        return None
    told = ", ".join(f"{layer.name} is {group.name!r}" for layer, group in doubtful[:4])
    more = f" and {len(doubtful) - 4} more" if doubtful[4:] else ""
    return (
        f"Weights alone: layers of equal sizes are matched by nothing but their order ({told}{more}). "
        "If the architecture has them in another one, give its layers the names that they have in the file."
    )


def _go_alike(pairs: Pairs) -> bool:
    """Whether the numbers that Keras gave both sides' names go the same way."""
    sides = [[_counted(layer.name) for layer, _ in pairs], [_counted(group.name) for _, group in pairs]]
    bases = {base for side in sides for base, _ in side}
    return len(bases) == 1 and all(sorted(side) == side for side in sides)


def _same(one: Pairs, other: Pairs) -> bool:
    return all(a[1] is b[1] for a, b in zip(one, other, strict=True))


def _fits(pairs: Pairs, file: Weights) -> bool:
    """Whether each layer has weights of the sizes that its group holds."""
    return all(_sizes(layer) == _sizes_in(group, file) for layer, group in pairs)


def _sizes(layer: Any) -> tuple[int, ...]:
    return tuple(sorted(math.prod(weight.shape) for weight in layer.weights))


def _sizes_in(group: Group, file: Weights) -> tuple[int, ...]:
    return tuple(sorted(math.prod(group.shape(weight, file)) for weight in group.weights))


def _by_size(layers: list[Any], names: list[str], saved: list[Group], file: Weights) -> Pairs | None:
    """Each layer with the group of its sizes; several of the same sizes only if their numbers go the same way."""
    here: dict[tuple[int, ...], list[int]] = {}
    there: dict[tuple[int, ...], list[int]] = {}
    for place, (layer, group) in enumerate(zip(layers, saved, strict=True)):
        here.setdefault(_sizes(layer), []).append(place)
        there.setdefault(_sizes_in(group, file), []).append(place)
    if {sizes: len(places) for sizes, places in here.items()} != {s: len(places) for s, places in there.items()}:
        return None
    partner = {}
    for sizes, places in here.items():
        partner |= dict(zip(places, there[sizes], strict=True))
        keys = [[_counted(names[i]) for i in places], [_counted(saved[i].name) for i in there[sizes]]]
        if len(places) > 1 and any(
            sorted(listed) != listed or len({base for base, _ in listed}) > 1 for listed in keys
        ):
            return None
    return [(layer, saved[partner[place]]) for place, layer in enumerate(layers)]


def _by_number(layers: list[Any], names: list[str], saved: list[Group]) -> Pairs | None:
    """The first Dense by its number with the first `dense_...` by its: as the layers were made, in both."""
    here, there = ([_counted(name) for name in listed] for listed in (names, [group.name for group in saved]))
    if Counter(base for base, _ in here) != Counter(base for base, _ in there):
        return None
    ranked = [sorted(range(len(keys)), key=keys.__getitem__) for keys in (here, there)]
    partner = dict(zip(*ranked, strict=True))
    return [(layer, saved[partner[place]]) for place, layer in enumerate(layers)]


def _by_rest(layers: list[Any], names: list[str], saved: list[Group], file: Weights) -> Pairs | None:
    """Names that a person gave where they are in both, once, all others in their order."""
    by_name = {group.name: group for group in saved}
    given = {name for layer, name in zip(layers, names, strict=True) if not _made_up(layer, name)}
    own = given & _once(names) & _once([group.name for group in saved])
    rest = iter([group for group in saved if group.name not in own])
    if not file.ordered and len(saved) - len(own) > 1:
        return None
    return [(layer, by_name[name] if name in own else next(rest)) for layer, name in zip(layers, names, strict=True)]


def _once(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count == 1}


def _counted(name: str) -> tuple[str, int]:
    """("dense", 2) of dense_2, ("conv2d", 0) of convolution2d."""
    base, _, number = name.rpartition("_")
    base, count = (base, int(number)) if base and re.fullmatch(r"\d{1,9}", number) else (name, 0)
    base = base.replace("_", "").lower()
    for old, new in _TITLES.items():
        base = base.replace(old, new)
    return base, count


def _made_up(layer: Any, name: str) -> bool:
    return _counted(name)[0] == _counted(type(layer).__name__)[0]


def leaves(layers: list[Any]) -> list[Any]:
    """The layers within models in the models' place, for a file that holds each for itself."""
    found: list[Any] = []
    for layer in layers:
        apart = isinstance(layer, keras.Model) and not layer._trainable_variables + layer._non_trainable_variables
        found += leaves(layer.layers) if apart else [layer]
    return [layer for layer in found if layer.weights]


def split(saved: list[Group]) -> list[Group]:
    """A group that holds several layers, a nested model's, as one group a layer."""
    found = []
    for group in saved:
        owners: dict[tuple[str, ...], dict[str, str]] = {}  # what a layer can't train is behind all that others can
        for weight, path in group.weights.items():
            owners.setdefault(tuple(words_of(weight)[:-1]), {})[weight] = path
        if group.parts or (len(owners) == 1 and group.name in next(iter(owners))):
            found.append(group)
        else:
            found += [Group(owner[-1] if owner else group.name, weights) for owner, weights in owners.items()]
    return found
