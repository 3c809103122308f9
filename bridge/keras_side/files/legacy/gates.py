"""Recurrent weights of before Keras 2, an array for each gate: read as the one array that they became."""

from __future__ import annotations

import re
from dataclasses import replace

from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.files.legacy.content import Group

_GATE = re.compile(r"(.*)_([WUb])_([icfozrh])(_\d+)?(:0)?")
_GATES = ("ifco", "zrh")  # as Keras has had them since 2.0 in one array: of an LSTM, of a GRU


def with_gates(group: Group, file: Weights) -> Group:
    """The group with the arrays that Keras 1 kept for each gate (lstm_1_W_i) as one (lstm_1_W), in Keras's order."""
    if (numbered := _numbered_gates(group, file)) is not None:
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


def _numbered_gates(group: Group, file: Weights) -> Group | None:
    """The same of a file that has numbers: three arrays a gate (W, U, b), an LSTM's gates as i c f o."""
    order = {12: (0, 2, 1, 3), 9: (0, 1, 2)}.get(len(group.weights))
    if order is None or not all(re.fullmatch(r"param_\d+", weight) for weight in group.weights):
        return None
    names = list(group.weights)
    shapes = [group.shape(name, file) for name in names]
    if any(shape != shapes[place % 3] for place, shape in enumerate(shapes)):
        return None  # a nested model's
    parts = {names[i]: tuple(group.weights[names[3 * gate + i]] for gate in order) for i in range(3)}
    return replace(group, weights={name: group.weights[name] for name in names[:3]}, parts=parts)
