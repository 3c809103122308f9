"""`--custom FILE.py`: the user's own classes and functions, by which names in a file's config may mean them."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from keras.src.saving.object_registration import GLOBAL_CUSTOM_OBJECTS

from bridge import user_code

ADVICE = "Pass the code that defines {}: --custom FILE.py, or code that builds the model: --arch FILE.py:function"
_PREFIX = f"{user_code.MODULE}_custom_"
_numbers = itertools.count()
_given: dict[tuple[str, ...], dict[str, Any]] = {}  # of the running job: its files, and what is in them by name


@contextmanager
def scope(files: Iterable[str]) -> Iterator[None]:
    """While this lasts, configs may name what these files define; they are run once.

    Raises BridgeError for a file that is missing or that fails.
    """
    wanted = tuple(files)
    if wanted in _given or not wanted:  # a job within a job: the same classes, or none
        yield
        return
    found: dict[str, Any] = {}
    for file in wanted:
        found |= _of(Path(file))
    before = dict(_given)
    _given.clear()
    _given[wanted] = found
    try:
        yield
    finally:
        _given.clear()
        _given.update(before)


def objects() -> dict[str, Any]:
    """The user's classes and functions by their registered names (`Package>Name`) and by their plain ones."""
    return {name: thing for found in _given.values() for name, thing in found.items()}


def given() -> tuple[str, ...]:
    """The files that are given."""
    return next(iter(_given), ())


def named(*names: Any) -> str | None:
    """The first of these names, from a config, that the user's files define."""
    known = objects()
    return next((name for name in names if isinstance(name, str) and name in known), None)


def _of(file: Path) -> dict[str, Any]:
    """What a file defines, or takes from files beside it: classes and functions, never what it got from packages."""
    module = user_code.load(file, f"{_PREFIX}{next(_numbers)}", "the custom code")
    plain = {n: thing for n, thing in vars(module).items() if _is_theirs(thing, module, file)}
    registered = {n: thing for n, thing in GLOBAL_CUSTOM_OBJECTS.items() if _is_theirs(thing, module, file)}
    # where two registered ones share a plain name, that name means neither of them
    short: dict[str, list[Any]] = {}
    for name, thing in registered.items():
        short.setdefault(name.rpartition(">")[2], []).append(thing)
    found = {n: things[0] for n, things in short.items() if len(things) == 1} | plain | registered
    for thing in found.values():
        if thing.__module__ == module.__name__:
            thing.__module__ = file.stem  # what a Keras file says of a class: the module that its user imports
    return found


def _is_theirs(thing: Any, module: ModuleType, file: Path) -> bool:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return False
    if thing.__module__ == module.__name__:
        return True
    return user_code.is_beside(sys.modules.get(thing.__module__), file)
