"""What a model's own code carries from one call to the next: variables that it assigns to in inference."""

from __future__ import annotations

import keras
import numpy as np

from bridge.graph import Graph
from bridge.graph.probe import probe_of
from bridge.keras_side.running.run import run
from bridge.keras_side.running.sizes import choose_probe

CARRIES = "the model's code changes it in inference, so that each call depends on those before; pass it in and out"


def carried(model: keras.Model, graph: Graph, assigned: dict[str, keras.Variable]) -> list[str]:
    """A reason for each variable that is to blame if a second call with the same inputs gives something else.

    assigned: those that a call in inference assigns to, by path; they are left as they were. One that gets the same
    value each time, such as a kernel with a mask on it, does no harm.
    """
    if not assigned:
        return []
    choose_probe(model, graph)
    given = probe_of(graph)
    values, outputs = [_values(assigned)], []
    try:
        for _ in range(2):
            outputs.append(run(model, given))
            values.append(_values(assigned))
    finally:
        for path, variable in assigned.items():
            variable.assign(values[0][path])
    first, second = outputs
    if all(np.allclose(first[name], second[name], rtol=1e-6, atol=1e-7, equal_nan=True) for name in first):
        return []
    before, once, twice = values
    other = [path for path in assigned if not np.array_equal(once[path], twice[path])]
    # what the call before was given is the same in the second call, as is a mask that does no harm
    other = other or [path for path in assigned if not np.array_equal(before[path], once[path])]
    return [f"{path}: {CARRIES}" for path in other]


def _values(variables: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    return {path: variable.numpy() for path, variable in variables.items()}
