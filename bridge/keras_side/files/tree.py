"""The Keras 3 layout of weights (`layers/dense_1/vars/0`): one group an object of the model, named by class and order.

Which object lies where is not written in the file; it follows from the model, by the walk that Keras itself does when
it saves. What each object holds is asked of the object itself (`save_own_variables`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras.src.saving import saving_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils.naming import to_snake_case

from bridge.errors import BridgeError
from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.weights import PASS_OTHER, exact, in_pieces, labelled

Home = tuple[str, Any, str]
_TRAINING = {"optimizer", "_optimizer", "metrics", "_metrics", "compiled_metrics", "compiled_loss"}


def is_tree(file: Weights) -> bool:
    """Has the file this layout?"""
    return any(group == "vars" or group.endswith("/vars") for group in file.groups)


def homes(model: keras.Model) -> Iterator[Home]:
    """(path in the file, object, name for messages) of all that Keras saves, optimizer and metrics excepted."""
    yield from _object(model, "", "", set())


def saved(file: Weights) -> dict[str, dict[str, str]]:
    """What the file holds: {group without /vars: {key: dataset}}, optimizer and metrics excepted."""
    found: dict[str, dict[str, str]] = {}
    for path in file.datasets:
        place, _, key = path.rpartition("/")
        if place != "vars" and not place.endswith("/vars"):
            raise BridgeError(f"{file.name}: holds {path}, which has no place in Keras's layout of weights.")
        group = place.removesuffix("vars").removesuffix("/")
        if not _TRAINING & set(group.split("/")):
            found.setdefault(group, {})[key] = path
    return found


def fill(model: keras.Model, file: Weights) -> None:
    """Loads every weight of the file into `model`. Raises BridgeError unless all of both are used."""
    groups, owned = saved(file), set()
    for place, item, label in homes(model):
        wanted: dict[str, Any] = {}
        item.save_own_variables(wanted)
        place = place if place in groups else place.replace("layers/", "_layer_checkpoint_dependencies/")  # Keras 2.12
        held = groups.pop(place, {})
        owned |= {id(v) for v in _own(item)}
        if isinstance(item, keras.random.SeedGenerator) and not held:
            continue  # random state is no weight
        if set(held) != set(wanted):
            raise BridgeError(_differ(label, wanted, held, file))
        if not wanted:
            continue
        values = {
            key: exact(file.read(held[key]), value.shape, _dtype(value), f"{label}: {_name(value, key)}", file.name)
            for key, value in wanted.items()
        }
        with in_pieces():
            item.load_own_variables(values)
    spare = [group for group in groups if not group.endswith("seed_generator")]
    if spare:
        shapes = ", ".join(str(file.shape(path)) for path in groups[spare[0]].values())
        raise BridgeError(
            f"{file.name}: holds weights {shapes} in {spare[0] or 'its root'}; the architecture has none there.\n"
            f"{PASS_OTHER}"
        )
    missed = [variable.path for variable in model.weights if id(variable) not in owned]
    if missed:
        raise BridgeError(f"{file.name}: {missed[0]} belongs to no object that Keras saves, so the file can't hold it.")


def _object(item: Any, path: str, label: str, seen: set[int]) -> Iterator[Home]:
    if id(item) in seen or isinstance(item, keras.optimizers.Optimizer | keras.Metric | keras.Loss):
        return
    seen.add(id(item))
    if isinstance(item, keras.Layer) and path:
        label = f"{label}/{item.name}" if label else item.name
    if hasattr(item, "save_own_variables"):
        yield path, item, labelled(item, label or None) if hasattr(item, "name") else label
    for name, child in _children(item):
        inner = f"{path}/{name}" if path else name
        if isinstance(child, KerasSaveable):
            yield from _object(child, inner, label, seen)
        elif isinstance(child, list | dict | tuple):
            yield from _container(child, inner, label, seen, set())


# Keras 3.15 keeps this under another name than the one it looks for, so it makes a layer anew for each one it walks
_skipped = functools.cache(saving_lib.get_attr_skipset)


def _children(item: Any) -> list[tuple[str, Any]]:
    with mock.patch.object(saving_lib, "get_attr_skipset", _skipped):
        return list(saving_lib._walk_saveable(item))


def _container(items: Any, path: str, label: str, seen: set[int], containers: set[int]) -> Iterator[Home]:
    if id(items) in containers:
        return
    containers.add(id(items))
    used: dict[str, int] = {}
    for item in list(items.values()) if isinstance(items, dict) else items:
        if isinstance(item, KerasSaveable):
            yield from _object(item, f"{path}/{_unique(to_snake_case(type(item).__name__), used)}", label, seen)
        elif isinstance(item, list | dict | tuple):
            yield from _container(item, f"{path}/{_unique('container', used)}", label, seen, containers)


def _unique(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


def _own(item: Any) -> list[Any]:
    return [*getattr(item, "_trainable_variables", ()), *getattr(item, "_non_trainable_variables", ())]


def _differ(label: str, wanted: dict[str, Any], held: dict[str, str], file: Weights) -> str:
    wants = ", ".join(f"{_name(value, key)} {tuple(value.shape)}" for key, value in wanted.items()) or "none"
    holds = ", ".join(f"{file.shape(path)}" for path in held.values()) or "none"
    return f"{label}: the weights in {file.name} are {holds}; the architecture wants {wants}.\n{PASS_OTHER}"


def _name(value: Any, key: str) -> str:
    return getattr(value, "name", None) or f"variable {key}" if not isinstance(value, np.ndarray) else f"variable {key}"


def _dtype(value: Any) -> str:
    return keras.backend.standardize_dtype(value.dtype)
