"""The way home: a Keras model with its weights into a file of any Keras format, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src.legacy.saving import legacy_h5_format

from bridge.errors import BridgeError


def write(model: keras.Model, path: Path, *, weights_only: bool = False) -> None:
    """Writes `model` without compile settings, in the format that the suffix of `path` says.

    .keras, .weights.h5 (Keras 3's weights layout), .h5 or .hdf5 (legacy: model and weights, or with `weights_only` the
    weights alone). Raises BridgeError for another suffix and for a model that the format can't hold.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".weights.h5"):
        model.save_weights(path, overwrite=True)
    elif name.endswith((".h5", ".hdf5")) and weights_only:
        with h5py.File(path, "w") as file, _twins(path):
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    elif name.endswith((".h5", ".hdf5")):
        operation = next((item for item in _operations(model) if not isinstance(item, keras.Layer)), None)
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


def _operations(model: keras.Model) -> Iterator[Any]:
    for item in getattr(model, "operations", model.layers):
        yield item
        if isinstance(item, keras.Model):
            yield from _operations(item)
