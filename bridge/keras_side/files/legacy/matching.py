"""Which group of a file is which layer's, and which of its weights each variable's: by name, by shape or by order."""

from __future__ import annotations

import math
import re
from typing import Any

from bridge.errors import BridgeError
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.files.legacy import pairing
from bridge.keras_side.files.legacy.content import Group, words_of
from bridge.keras_side.weights import PASS_OTHER


def layer_pairs(
    layers: list[Any], saved: list[Group], file: Weights, renamed: dict[str, str], by_code: bool
) -> list[tuple[Any, Group]]:
    """Each layer with its group of the file.

    renamed: new names of layers -> those in the file. by_code: whether the architecture is code, which may put layers
    into models that the file has none of, or the other way round. Raises BridgeError.
    """
    if by_code and len(layers) != len(saved):
        apart, split = pairing.leaves(layers), pairing.split(saved)
        if len(apart) == len(saved):
            layers = apart
        elif len(layers) == len(split):
            saved = split
        elif len(apart) == len(split):
            layers, saved = apart, split
    names = [renamed.get(layer.name, layer.name) for layer in layers]
    by_name = {group.name: group for group in saved}
    if len(layers) != len(saved):
        missing = [name for name in names if name not in by_name]
        spare = [name for name in by_name if name not in names]
        named = f" Only in the architecture: {', '.join(missing)}." if missing and len(missing) < len(names) else ""
        named += f" Only in the file: {', '.join(spare)}." if spare and len(spare) < len(by_name) else ""
        raise BridgeError(
            f"{file.name}: holds weights for {_count(saved)}, the architecture has {_count(layers)} with weights."
            f"{named}\n{PASS_OTHER}"
        )
    if set(names) == set(by_name) and len(by_name) == len(names):  # layers of different models may share a name
        return [(layer, by_name[name]) for layer, name in zip(layers, names, strict=True)]
    return pairing.unlike_names(layers, names, saved, file)


def weight_pairs(
    group: Group, variables: list[Any], label: str, file: Weights, old_words: dict[int, str]
) -> list[tuple[Any, str]]:
    """Each variable with the name of its weight in the group.

    label: the layer, as messages name it. old_words: what variables are called there, by their ids. Raises BridgeError.
    """
    if len(variables) != len(group.weights):
        wanted = ", ".join(f"{inner_name(v, label)} {tuple(v.shape)}" for v in variables) or "none"
        held = ", ".join(f"{group.short(w)} {group.shape(w, file)}" for w in group.weights) or "none"
        raise BridgeError(
            f"{label}: the weights in {file.name} are {held}; the architecture wants {wanted}.\n{PASS_OTHER}"
        )
    if (named := by_names(group, variables, old_words)) is not None:
        return named
    saved, wanted = {weight: words_of(weight) for weight in group.weights}, _words(variables, old_words)
    if not file.ordered:
        held, words = (", ".join("/".join(each[-2:]) for each in listed) for listed in (saved.values(), wanted))
        raise BridgeError(
            f"{label}: {file.name} has names alone, no order, and these are others: there {held}; in the architecture "
            f"{words}.\n{PASS_OTHER}"
        )
    by_shape = _by_shape(group, wanted, variables, file)
    return _by_order(group, saved, variables, wanted, label, file) if by_shape is None else by_shape


def by_names(group: Group, variables: list[Any], old_words: dict[int, str]) -> list[tuple[Any, str]] | None:
    """Each variable with the weight whose name ends as its does, if there is one for each; else None."""
    saved, wanted = {weight: words_of(weight) for weight in group.weights}, _words(variables, old_words)
    for depth in (4, 3, 2, 1):
        by_tail = {tuple(words[-depth:]): weight for weight, words in saved.items()}
        tails = [tuple(words[-depth:]) for words in wanted]
        if len(by_tail) == len(saved) and set(tails) == set(by_tail) and len(set(tails)) == len(tails):
            return [(variable, by_tail[tail]) for variable, tail in zip(variables, tails, strict=True)]
    return None


def _words(variables: list[Any], old_words: dict[int, str]) -> list[list[str]]:
    """The words of each variable's path, the last one as the file has it."""
    wanted = [words_of(variable.path) for variable in variables]
    for words, variable in zip(wanted, variables, strict=True):
        words[-1] = old_words.get(id(variable), words[-1])
    return wanted


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


def _by_shape(
    group: Group, wanted: list[list[str]], variables: list[Any], file: Weights
) -> list[tuple[Any, str]] | None:
    """In their order, for a file whose names say nothing (param_0, dense_1_W), if all sizes are the wanted ones."""
    known = {words[-1] for words in wanted}
    if any(words_of(weight)[-1] in known for weight in group.weights):
        return None
    if (found := _by_keras1_words(group, wanted, variables)) is not None:
        return found
    pairs = list(zip(variables, group.weights, strict=True))
    fits = all(math.prod(variable.shape) == math.prod(group.shape(weight, file)) for variable, weight in pairs)
    return pairs if fits else None


_OLD_WORDS = {
    **{"kernel": "W", "embeddings": "W", "bias": "b", "recurrent_kernel": "U", "alpha": "alphas"},
    **{"moving_mean": "running_mean", "moving_variance": "running_std", "moving_deviation": "running_std"},
}


def _by_keras1_words(group: Group, wanted: list[list[str]], variables: list[Any]) -> list[tuple[Any, str]] | None:
    """By the ends of names such as batchnormalization_1_running_std, if each weight of a layer has its own."""
    pairs = []
    for variable, words in zip(variables, wanted, strict=True):
        word = _OLD_WORDS.get(words[-1], words[-1])
        ends = [
            weight
            for weight in group.weights
            if re.fullmatch(rf"(.*[_/])?{re.escape(word)}(_\d+)?", words_of(weight)[-1])
        ]
        if len(ends) != 1:
            return None
        pairs.append((variable, ends[0]))
    return pairs if len({weight for _, weight in pairs}) == len(pairs) else None


def inner_name(variable: Any, label: str) -> str:
    """A variable's name below its layer: `kernel`, or `dense_1/kernel` in a nested model."""
    layer, words = label.split(" ")[0], variable.path.split("/")
    return "/".join(words[words.index(layer) + 1 :]) if layer in words[:-1] else words[-1]


def _count(items: list[Any]) -> str:
    return f"{len(items)} layer" + ("s" if len(items) != 1 else "")
