"""A model case in float64, which tells rounding from a fault."""

import contextlib

import keras

from bridge.errors import BridgeError
from bridge.keras_side.examples import remembered
from bridge.keras_side.names import names
from bridge.keras_side.running.double import in_double, take_values


def twin_of(model, make):
    """The model in float64: built anew by its config or, where it has none that does it, by the code that made it."""
    with contextlib.suppress(BridgeError):
        twin = in_double(model)
        if list(names(twin).variables) == list(names(model).variables):  # a subclass may not tell its layers' names
            return twin
    keras.backend.clear_session(free_memory=False)  # so that layers without a name get the same ones
    try:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        with remembered():
            twin = make()
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    take_values(twin, model)
    assert list(names(twin).variables) == list(names(model).variables)
    return twin
