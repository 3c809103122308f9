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

import keras
from keras.src.saving.object_registration import GLOBAL_CUSTOM_OBJECTS

from bridge import user_code

ADVICE = "Pass the code that defines {}: --custom FILE.py, or code that builds the model: --arch FILE.py:function"
_PREFIX = f"{user_code.MODULE}_custom_"
_LIBRARIES = ("keras", "tensorflow", "tf_keras", "numpy", "bridge")  # their classes are known, or no part of a model
_KINDS = (keras.Layer, keras.initializers.Initializer, keras.regularizers.Regularizer, keras.constraints.Constraint)
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
    """What a file defines, and what it takes from files beside it and from packages that it imports."""
    module = user_code.load(file, f"{_PREFIX}{next(_numbers)}", "the custom code")
    beside, packages = _imported(module, file)
    plain, *others = [
        {n: thing for n, thing in vars(each).items() if _is_theirs(thing, module, file, packages)}
        for each in (module, *beside)
    ]
    registered = {n: thing for n, thing in GLOBAL_CUSTOM_OBJECTS.items() if _is_theirs(thing, module, file, packages)}
    # where two registered ones share a plain name, or two files beside this one have it, that name means neither
    short: dict[str, list[Any]] = {}
    for name, thing in itertools.chain(registered.items(), *(other.items() for other in others)):
        same = short.setdefault(name.rpartition(">")[2], [])
        same += [] if any(thing is one for one in same) else [thing]
    found = {n: things[0] for n, things in short.items() if len(things) == 1} | plain | registered
    for thing in found.values():
        if thing.__module__ == module.__name__:
            thing.__module__ = file.stem  # what a Keras file says of a class: the module that its user imports
    return found


def _imported(module: ModuleType, file: Path) -> tuple[list[ModuleType], set[str]]:
    """The modules beside a file that it or one of them imports; and the installed packages of whose modules, classes or
    functions these name some.
    """
    found, waiting, seen = set(), [module], []
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.append(each)
        for thing in vars(each).values():
            if not isinstance(thing, ModuleType | type) and not inspect.isfunction(thing):
                continue
            source = thing if isinstance(thing, ModuleType) else sys.modules.get(thing.__module__)
            if source is not None and user_code.is_beside(source, file):
                waiting.append(source)
            elif source is not None:
                found.add(source.__name__.partition(".")[0])
    return seen[1:], found - {module.__name__, *_LIBRARIES, *sys.stdlib_module_names}


def _is_theirs(thing: Any, module: ModuleType, file: Path, packages: set[str]) -> bool:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return False
    if thing.__module__ == module.__name__ or user_code.is_beside(sys.modules.get(thing.__module__), file):
        return True
    return thing.__module__.partition(".")[0] in packages and (not inspect.isclass(thing) or issubclass(thing, _KINDS))
