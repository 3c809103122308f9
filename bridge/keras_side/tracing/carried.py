"""What a model's own code carries from one call to the next: variables that it assigns to in inference."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from bridge.graph import Value
from bridge.graph.probe import probe_inputs
from bridge.keras_side.running.run import run

CARRIES = "the model's code changes it in inference, so that each call depends on those before; pass it in and out"


def carried(model: keras.Model, inputs: Iterable[Value], assigned: dict[str, keras.Variable]) -> list[str]:
    """A reason for each variable that is to blame if a second call with the same inputs gives something else.

    assigned: those that a call in inference assigns to, by path. One that gets the same value each time, such as a
    kernel with a mask on it, does no harm.
    """
    if not assigned:
        return []
    given, before = probe_inputs(inputs), {path: variable.numpy() for path, variable in assigned.items()}
    first = run(model, given)
    once = {path: variable.numpy() for path, variable in assigned.items()}
    second = run(model, given)
    other = [path for path, variable in assigned.items() if not np.array_equal(once[path], variable.numpy())]
    for path, variable in assigned.items():
        variable.assign(before[path])
    alike = all(np.allclose(first[name], second[name], rtol=1e-6, atol=1e-7, equal_nan=True) for name in first)
    return [] if alike else [f"{path}: {CARRIES}" for path in other]
