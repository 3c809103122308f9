"""A Keras model from a file of any format, with the file's weights in it; nothing in the file is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import KerasVariable

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.keras_side import arch, archive, config, formats, hdf5, legacy, listing, mlp, tree
from bridge.keras_side.hdf5 import Weights
from bridge.keras_side.source import Source
from bridge.keras_side.weights import non_finite

__all__ = ["load", "non_finite"]

JSON_LIMIT = 16 << 20
VARIABLES_FLOOR, VARIABLES_FACTOR = 16 << 20, 2
# What Keras raises when a config is not what it expects; it checks little, so nearly anything can come
_REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)


def load(source: Source) -> keras.Model:
    """A built, uncompiled model with the file's weights, every one used once.

    Raises BridgeError if the file is damaged, hostile or of an unknown kind, if it carries code, or if weights and
    architecture disagree.
    """
    if source.arch and source.mlp:
        raise BridgeError("--arch and --mlp both say how the layers are connected: pass one of them.")
    path = Path(source.path)
    keras.utils.clear_session()  # so that layers without a name are called dense, dense_1, ... from the start
    if formats.kind(path) == formats.KERAS:
        content = archive.read(path)
        with hdf5.opened(content.weights, source.name, content.weights_size) as file:
            metadata = config.parse_metadata(content.metadata, f"{path}: {archive.METADATA}")
            saved = (content.config, f"{path}: {archive.CONFIG}", metadata.get("keras_version"))
            return _filled(source, file, saved)
    with hdf5.opened(path, source.name, path.stat().st_size) as file:
        text = file.attribute("", "model_config")
        version = file.attribute("", "keras_version") or file.attribute("model_weights", "keras_version")
        return _filled(source, file, None if text is None else (text, str(path), version))


def _filled(source: Source, file: Weights, saved: tuple[Any, str, Any] | None) -> keras.Model:
    base = legacy.root(file)
    if base is None and not tree.is_tree(file):
        raise BridgeError(f"{source.path}: is an HDF5 file without Keras weights in it.")
    model = _architecture(source, file, saved)
    if model.compiled:
        model.optimizer, model.compiled = None, False  # compile settings are no part of what bridge loads
    if not model.built:
        _build(model, source, file)
    if base is not None:
        legacy.fill(model, file, base)
    else:
        tree.fill(model, file)
    return model


def _architecture(source: Source, file: Weights, saved: tuple[Any, str, Any] | None) -> keras.Model:
    if source.mlp:
        return _stack(mlp.parse(source.mlp, config.activations()), file)
    if source.arch:
        path, function = arch.split(source.arch)
        if function is not None:
            return arch.build(path, function)
        path = existing_file(path, "the architecture")
        if path.stat().st_size > JSON_LIMIT:
            raise BridgeError(f"{path}: is larger than {JSON_LIMIT >> 20} MiB, too large for a model's config.")
        return _from_config(path.read_bytes(), str(path), None, source, file)
    if saved is None:
        line = listing.proposal(file)
        way = f"--mlp {line} with an activation for each {mlp.BLANK}, or " if line else ""
        raise BridgeError(
            f"{source.path}: holds weights alone, not how the layers are connected.\n"
            f"Pass {way}--arch FILE.py:function or --arch config.json."
        )
    return _from_config(saved[0], saved[1], saved[2], source, file)


def _stack(spec: mlp.Mlp, file: Weights) -> keras.Model:
    stack = listing.dense_stack(file) or []
    sizes = [spec.features, *(units for units, _ in spec.layers)]
    if stack and len(stack) != len(spec.layers):
        raise BridgeError(
            f"{file.name}: holds {len(stack)} Dense layers, --mlp has {len(spec.layers)}.\n"
            f"These weights allow --mlp {listing.proposal(file)} with an activation for each {mlp.BLANK}."
        )
    if stack:
        for number, ((held, _), wanted) in enumerate(zip(stack, pairwise(sizes), strict=True)):
            if held != wanted:
                name = f"dense_{number}" if number else "dense"
                raise BridgeError(
                    f"{name} (Dense): kernel is {held} in {file.name}, --mlp wants {wanted}.\n"
                    f"These weights allow --mlp {listing.proposal(file)} with an activation for each {mlp.BLANK}."
                )
    biases = [bias for _, bias in stack] or [True] * len(spec.layers)
    with _bounded(file):
        layers = [
            keras.layers.Dense(units, activation=activation, use_bias=bias)
            for (units, activation), bias in zip(spec.layers, biases, strict=True)
        ]
        return keras.Sequential([keras.Input((spec.features,)), *layers])


def _from_config(text: Any, origin: str, version: Any, source: Source, file: Weights) -> keras.Model:
    parsed = config.parse(text, origin)
    prepared = config.prepare(parsed, origin, config.version_of(parsed, version), source.unsafe)
    with _bounded(file):
        try:
            model = keras.saving.deserialize_keras_object(prepared, safe_mode=not source.unsafe)
        except _REFUSALS as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            said = next((line for line in lines if line.startswith("Exception encountered:")), (lines or ["?"])[0])
            raise BridgeError(f"{origin}: describes no model that Keras can build: {said[:300]}") from error
    if not isinstance(model, keras.Model):
        raise BridgeError(f"{origin}: describes a {type(model).__name__}, not a model.")
    return model


def _build(model: keras.Model, source: Source, file: Weights) -> None:
    kernel = listing.first_kernel(file)
    first = model.layers[0] if isinstance(model, keras.Sequential) and model.layers else None
    if isinstance(first, keras.layers.Dense) and kernel is not None and len(kernel) == 2:
        with _bounded(file):
            model.build((None, kernel[0]))
        return
    where = f"--arch {source.arch}" if source.arch else source.path
    raise BridgeError(
        f"{where}: the model {model.name!r} ({type(model).__name__}) has no input shape yet, so it has no weights.\n"
        "Begin it with keras.Input(shape), or call it once on an example input before it is returned or saved."
    )


@contextmanager
def _bounded(file: Weights) -> Iterator[None]:
    """Refuses a config whose variables would take far more memory than the weights in the file."""
    limit = max(VARIABLES_FLOOR, VARIABLES_FACTOR * file.declared_bytes)
    original, total = KerasVariable.__init__, 0

    def counted(self: Any, initializer: Any, shape: Any = None, dtype: Any = None, *rest: Any, **named: Any) -> None:
        nonlocal total
        known = isinstance(shape, tuple | list) and all(isinstance(size, int) for size in shape)
        total += 4 * math.prod(shape) if known else 0
        if total > limit:
            raise BridgeError(
                f"{file.name}: its architecture wants over {limit:,} bytes of weights, the file holds "
                f"{file.declared_bytes:,}. Nothing was built."
            )
        original(self, initializer, shape, dtype, *rest, **named)

    KerasVariable.__init__ = counted
    try:
        yield
    finally:
        KerasVariable.__init__ = original
