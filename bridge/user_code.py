"""Python files that the user names (`--arch`, `--custom`, `--rules`, `--into`), loaded and called.

Their faults are told by file and line.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bridge.errors import BridgeError
from bridge.files import existing_file

MODULE = "_bridge_user_code"  # private, so that it can't take the place of anything installed
_neighbours: set[str] = set()  # modules that the user's files imported from beside them


def split(spec: str) -> tuple[Path, str] | None:
    """FILE.py:NAME into the path and the name; None if it has another form."""
    file, colon, name = spec.rpartition(":")
    return (Path(file), name) if colon and file and name.isidentifier() else None


def make(file: Path, name: str, label: str, listed: Callable[[Any], bool], what: str = "the architecture") -> Any:
    """What the function or class `name` of the file gives when it is called without arguments.

    label: how errors name the option, "--arch FILE.py:build". listed: which of the file's own things an error lists
    where `name` is missing. Raises BridgeError for a file, a name or a call that fails.
    """
    module = load(file, MODULE, what)
    made = getattr(module, name, None)
    if not callable(made):
        own = [n for n, item in vars(module).items() if getattr(item, "__module__", None) == MODULE and listed(item)]
        raise BridgeError(f"{label}: {file} has no function or class {name!r}. It has: {', '.join(own) or 'none'}.")
    if needed := _needed(made):
        raise BridgeError(
            f"{label}: it needs {', '.join(needed)}, and bridge calls it without arguments.\n"
            "Give them defaults, or name a function without parameters that calls it."
        )
    with faults(file, label):
        return made()


def load(file: Path, name: str, what: str) -> ModuleType:
    """The file as a module of this name, executed. what: how an error calls the file, if it is missing."""
    existing_file(file, what)
    with faults(file, str(file)):
        return _load(file, name)


@contextmanager
def faults(file: Path, label: str) -> Iterator[None]:
    """Turns whatever the user's code raises into a BridgeError that begins with `label` and names its line."""
    folder, bytecode, before = str(file.resolve().parent), sys.dont_write_bytecode, set(sys.modules)
    sys.path.append(folder)  # last: the file may import its neighbours, but none of them shadows a package
    sys.dont_write_bytecode = True  # nothing is written beside the user's files
    try:
        yield
    except BridgeError:
        raise
    except (Exception, SystemExit) as error:  # anything can come out of the user's code, and it is theirs to mend
        raise BridgeError(f"{label}: raised {_one_line(error, file)}") from error
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path.remove(folder)
        _neighbours.update(name for name in set(sys.modules) - before if is_beside(sys.modules[name], file))


def forget() -> None:
    """Lets files beside the user's be read anew: they may have changed, or be another project's of the same name."""
    for name in _neighbours:
        sys.modules.pop(name, None)
    _neighbours.clear()


def is_beside(module: Any, file: Path) -> bool:
    """Whether a module is the user's own: its file is in the folder of theirs, or below it."""
    origin = getattr(module, "__file__", None)
    if not isinstance(origin, str) or getattr(module, "__name__", "").startswith(MODULE):
        return False
    folder, place = file.resolve().parent, Path(origin).resolve()
    if not place.is_relative_to(folder):
        return False
    # a virtual environment in that folder is not the user's code
    return not any(word == "site-packages" or word.startswith(".") for word in place.relative_to(folder).parts)


def described(value: Any) -> str:
    """What came back in place of what was wanted."""
    return "nothing (is a return missing?)" if value is None else f"an object of type {type(value).__name__}"


def _load(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BridgeError(f"{file}: is not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _one_line(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} (line {error.lineno})"
    names = (str(file), os.path.abspath(file))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename in names]
    place = f" (line {lines[-1]})" if lines else ""
    said = next(iter(str(error).strip().splitlines()), "")[:300]
    return f"{type(error).__name__}: {said}{place}"


def _needed(made: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):  # something callable without a signature: calling it will tell
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
