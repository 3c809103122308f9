"""What a subclassed model was first called on: it does not say elsewhere what it takes."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras

_seen: weakref.WeakKeyDictionary[keras.Model, dict[str, Any]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """While this lasts, each subclassed model's first call is remembered: the shapes and types of what it was given."""
    plain = keras.Layer.__call__

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        result = plain(layer, *args, **kwargs)
        if isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential | keras.src.models.Functional):
            _seen.setdefault(layer, _named(layer, args, kwargs))
        return result

    with mock.patch.object(keras.Layer, "__call__", call):
        yield


def example(model: keras.Model) -> dict[str, Any] | None:
    """The arguments of the call that was remembered, by name, every array as a KerasTensor; None if there was none."""
    return _seen.get(model)


def remember(model: keras.Model, call: dict[str, Any]) -> None:
    """The arguments of a call, as `example` gives them, for a model that was never called."""
    _seen[model] = call


def _named(model: keras.Model, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    named = dict(model._call_signature.bind(*args, **kwargs).arguments)
    named = {name: value for name, value in named.items() if name != "training" and value is not None}
    named |= named.pop("kwargs", {})
    return {name: keras.tree.map_structure(lambda leaf: _as_spec(model, leaf), value) for name, value in named.items()}


def _as_spec(model: keras.Model, value: Any) -> Any:
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return value
    dtype = keras.backend.standardize_dtype(value.dtype)
    dtype = model.input_dtype if model.autocast and keras.backend.is_float_dtype(dtype) else dtype  # as Keras casts it
    return keras.KerasTensor((None, *value.shape[1:]), dtype=dtype)
