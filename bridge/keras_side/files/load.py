"""A Keras model from a file of any format, with the file's weights in it; nothing in the file is run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.keras_side import custom
from bridge.keras_side.building import arch, architecture, built_in, config, mlp
from bridge.keras_side.building.cut import from_layers
from bridge.keras_side.building.lora import without_adapters
from bridge.keras_side.checkpoints import load as checkpoint
from bridge.keras_side.files import archive, assets, formats, hdf5, legacy, listing, tree
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.old.backends import Backend
from bridge.keras_side.saved_model import load as saved_model
from bridge.keras_side.source import Source
from bridge.keras_side.weights import non_finite

__all__ = ["load", "non_finite"]


def load(source: Source) -> keras.Model:
    """A built, uncompiled model with the file's weights, every one used once; or the part of it that is asked for.

    Raises BridgeError if the file is damaged, hostile or of an unknown kind, if it carries code, or if weights and
    architecture disagree.
    """
    if source.arch and source.mlp:
        raise BridgeError("--arch and --mlp both say how the layers are connected: pass one of them.")
    with custom.scope(source.custom):
        model = _whole(source)
    return from_layers(model, source.from_layer) if source.from_layer else model


def _whole(source: Source) -> keras.Model:
    path, kind = Path(source.path), formats.kind(source.path)
    if kind == formats.SAVED_MODEL:
        if source.backend:
            raise BridgeError(f"{path}: is a SavedModel; --backend is for files of Keras 0 and 1.")
        return saved_model.load(source, _filled)
    if source.signature:
        raise BridgeError(f"{path}: is no SavedModel; --signature is for those.")
    if kind == formats.CHECKPOINT:
        return checkpoint.load(source, _filled)
    if kind == formats.KERAS:
        with (
            archive.opened(path) as content,
            hdf5.opened(content.weights, source.name, path.stat().st_size, content.lies) as file,
        ):
            metadata = config.parse_metadata(content.metadata, f"{path}: {archive.METADATA}")
            saved = (content.config, f"{path}: {archive.CONFIG}", metadata.get("keras_version"))
            return _filled(source, file, saved, content.assets)
    with hdf5.opened(path, source.name, path.stat().st_size) as file:
        text = file.attribute("", "model_config")
        version = file.attribute("", "keras_version") or file.attribute("model_weights", "keras_version")
        return _filled(source, file, None if text is None else (text, str(path), version))


def _filled(
    source: Source, file: Weights, saved: tuple[Any, str, Any] | None, texts: dict[str, bytes] | None = None
) -> keras.Model:
    base = legacy.root(file)
    if base is None and not tree.is_tree(file):
        raise BridgeError(f"{source.path}: is an HDF5 file without Keras weights in it.")
    keras.utils.clear_session()  # so that layers without a name are called dense, dense_1, ... from the start
    written = legacy.backend(file, base, source.backend)
    model = _architecture(source, file, saved, written)
    if model.compiled:
        model.optimizer, model.compiled = None, False  # compile settings are no part of what bridge loads
    if not model.built:
        _build(model, source, file)
    assets.fill(model, texts or {}, source.name)
    if base is not None:
        legacy.fill(model, file, base, written)
    else:
        tree.fill(model, file)
    return without_adapters(model, apart=base is not None)


def _architecture(source: Source, file: Weights, saved: tuple[Any, str, Any] | None, written: Backend) -> keras.Model:
    if source.mlp:
        return _stack(mlp.parse(source.mlp, built_in.activations()), file)
    if source.arch:
        if arch.split(source.arch)[1] is not None:
            return architecture.from_arch(source.arch)
        with _bounded(file):
            return architecture.from_arch(source.arch, unsafe=source.unsafe, written=written)
    if saved is None:
        line = listing.proposal(file)
        way = f"--mlp {line} with an activation for each {mlp.BLANK}, or " if line else ""
        raise BridgeError(
            f"{source.path}: holds weights alone, not how the layers are connected.\n"
            f"Pass {way}--arch FILE.py:function or --arch config.json."
        )
    text, origin, version = saved
    with _bounded(file):
        return architecture.from_json(text, origin, version=version, written=written, unsafe=source.unsafe)


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
        "Begin it with keras.Input(shape), or call it once on an example input before it is returned or saved"
        + ("." if source.arch else ", or pass code that does so: --arch FILE.py:function.")
    )


def _bounded(file: Weights) -> AbstractContextManager[None]:
    return architecture.bounded(file.declared_bytes, file.name)
