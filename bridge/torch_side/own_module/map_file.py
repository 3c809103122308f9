"""`--map FILE.json`: which tensor of the user's module gets which Keras weight, decided by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.files import existing_file
from bridge.torch_side.own_module.matching import Candidate, Matcher, Pairs, Slot
from bridge.torch_side.writing.part import Axes, Take

EXAMPLE = '{"fc1.weight": "dense/kernel", "w2": {"keras": "dense_1/kernel", "axes": [1, 0]}}'
_LIMIT = 10_000_000  # bytes; a map of 100,000 tensors is smaller


@dataclass(frozen=True)
class _Entry:
    slot: Slot
    path: str
    ways: list[Axes]


def candidates_by_hand(file: Path, matcher: Matcher) -> Iterator[Candidate]:
    """The mappings that a map file allows: one, or several where it leaves a square matrix's layout open.

    Raises BridgeError for names that do not exist, shapes that do not fit, and whatever the map leaves out.
    """
    entries = [_entry(file, key, value, matcher) for key, value in _read(file).items()]
    pairs: Pairs = {}
    for entry in entries:
        if entry.path in pairs:
            raise BridgeError(
                f"--map {file}: {entry.path} is given to both {pairs[entry.path].key} and {entry.slot.key}."
            )
        if entry.slot in pairs.values():
            raise BridgeError(f"--map {file}: {entry.slot.key} is in it twice, under two of its names.")
        pairs[entry.path] = entry.slot
    missing = [move.weight.path for move in matcher.wanted if move.weight.path not in pairs]
    empty = [slot.key for slot in matcher.slots if slot not in pairs.values() and not matcher.fill(slot, pairs)]
    if missing or empty:
        lacks = [f"the Keras weights {_some(missing)}"] * bool(missing) + [f"the tensors {_some(empty)}"] * bool(empty)
        raise BridgeError(f"--map {file}: is not complete, it lacks {' and '.join(lacks)}.")
    for axes in islice(product(*(entry.ways for entry in entries)), 64):
        chosen = {entry.path: way for entry, way in zip(entries, axes, strict=True)}
        yield Candidate(matcher.assign(pairs, chosen), decided=True)


def _read(file: Path) -> dict[str, Any]:
    if existing_file(file, "the map").stat().st_size > _LIMIT:
        raise BridgeError(f"--map {file}: is larger than {_LIMIT:,} bytes, no map is.")

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in items]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise BridgeError(f"--map {file}: {twice!r} is in it twice.")
        return dict(items)

    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise BridgeError(f"--map {file}: is not JSON: {str(error)[:120]}\nExpected: {EXAMPLE}") from None
    if not isinstance(content, dict) or not content:
        raise BridgeError(f"--map {file}: expected an object such as\n{EXAMPLE}")
    return content


def _entry(file: Path, key: str, value: Any, matcher: Matcher) -> _Entry:
    slots = {name: slot for slot in matcher.slots for name in (slot.key, *slot.aliases)}
    if key not in slots:
        raise BridgeError(f"--map {file}: your module has no tensor {key!r}{_near(key, slots)}.")
    slot, path, axes = slots[key], value, None
    if isinstance(value, dict) and "keras" in value and set(value) <= {"keras", "axes"}:
        path, axes = value["keras"], value.get("axes")
    if not isinstance(path, str):
        raise BridgeError(f"--map {file}: {key} has {json.dumps(value)[:80]}, expected a Keras weight as in\n{EXAMPLE}")
    move = matcher.plan.moves.get(path)
    if move is None:
        raise BridgeError(
            f"--map {file}: {key}: the Keras model has no weight {path!r}{_near(path, matcher.plan.moves)}."
        )
    shape, ways = move.weight.shape, matcher.ways(move, slot)
    if axes is not None:
        numbers = isinstance(axes, list) and all(type(axis) is int for axis in axes)
        if not numbers or sorted(axes) != list(range(len(shape))):
            raise BridgeError(f"--map {file}: {key}: axes is {axes}, expected an order of {list(range(len(shape)))}.")
        ways = [tuple(axes)]
    elif not ways:
        ways = [None] + ([(1, 0)] if len(shape) == 2 else [])
    ways = [way for way in ways if Take(path, way).shape(shape) == slot.shape]
    if not ways:
        how = "with these axes" if axes is not None else "in either layout"
        raise BridgeError(f"--map {file}: {key} is {slot.shape}, {path} is {shape} and does not fit {how}.")
    if np.issubdtype(move.weight.dtype, np.floating) != slot.tensor.is_floating_point():
        raise BridgeError(f"--map {file}: {key} is of type {slot.tensor.dtype}, {path} is {move.weight.dtype}.")
    return _Entry(slot, path, ways)


def _near(name: str, known: Any) -> str:
    found = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; near it: {', '.join(found)}" if found else f"; it has {_some(list(known))}"


def _some(names: list[str], limit: int = 6) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
