"""A Keras model with its weights into a file of any Keras format, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import keras
from keras.src import backend
from keras.src.backend.common import KerasVariable
from keras.src.legacy.saving import legacy_h5_format
from keras.src.saving import saving_lib

from bridge.errors import BridgeError
from bridge.graph.refused import FEATURES
from bridge.keras_side.weights import numbers


def write(model: keras.Model, path: Path, *, weights_only: bool = False) -> None:
    """Writes `model` without compile settings, in the format that the suffix of `path` says.

    .keras, .weights.h5 (Keras 3's weights layout), .h5 or .hdf5 (legacy: model and weights, or with `weights_only` the
    weights alone). Raises BridgeError for another suffix and for a model that the format can't hold.
    """
    with _without_copies():
        _write(model, Path(path), weights_only)


@contextmanager
def _without_copies() -> Iterator[None]:
    """While this lasts, Keras writes variables out of their own memory, not out of copies of it."""
    plain = backend.convert_to_numpy

    def seen(value: Any) -> Any:
        return numbers(value) if isinstance(value, KerasVariable) else plain(value)

    with mock.patch.object(backend, "convert_to_numpy", seen):
        yield


def _write(model: keras.Model, path: Path, weights_only: bool) -> None:
    name = path.name.lower()
    if name.endswith(".weights.h5"):
        model.save_weights(path, overwrite=True)
    elif name.endswith((".h5", ".hdf5")) and weights_only:
        with h5py.File(path, "w") as file, _twins(path):
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    elif name.endswith((".h5", ".hdf5")):
        operation = next((item for item in _operations(model) if not _is_read(item)), None)
        if operation is not None:
            raise BridgeError(
                f"{path}: {operation.name} is an operation between layers ({type(operation).__name__}), which Keras "
                "itself can't read back from a full .h5 file.\nWrite a .keras file, or the weights alone."
            )
        try:
            with _twins(path):
                model.save(path, overwrite=True, include_optimizer=False)
        except NotImplementedError as error:
            raise BridgeError(
                f"{path}: {type(model).__name__} has no get_config(), so a full .h5 file can't describe it.\n"
                "Write its weights alone, to a name that ends in .weights.h5."
            ) from error
    elif name.endswith(".keras") and not weights_only:
        # Keras would put the weights together in memory, twice, if they fit, and by a file beside the output if not
        with mock.patch.object(saving_lib, "is_memory_sufficient", create=True, return_value=False):
            model.save(path, overwrite=True, include_optimizer=False)
    else:
        wanted = ".h5, .hdf5 or .weights.h5" if weights_only else ".keras, .h5, .hdf5 or .weights.h5"
        raise BridgeError(f"{path}: a Keras file is written to a name that ends in {wanted}.")


@contextmanager
def _twins(path: Path) -> Iterator[None]:
    """Tells of weights of one name within a layer, for which the legacy layout has one place."""
    try:
        yield
    except ValueError as error:
        if "name already exists" not in str(error):
            raise
        raise BridgeError(
            f"{path}: Keras itself can't write this model so: a layer of it has two weights of one name.\n"
            "Write a .keras or a .weights.h5 file."
        ) from error


def _is_read(item: Any) -> bool:
    """Whether Keras finds what this is by its class's name alone: layers, but those between a FeatureSpace's."""
    return isinstance(item, keras.Layer) and type(item).__name__ not in FEATURES


def _operations(model: keras.Model) -> Iterator[Any]:
    for item in getattr(model, "operations", model.layers):
        yield item
        if isinstance(item, keras.Model):
            yield from _operations(item)
