"""`--arch FILE.py:function`: the user's own code that builds the model."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.files import existing_file

MODULE = "_bridge_architecture"  # private, so that it can't take the place of anything installed


def split(arch: str) -> tuple[Path, str | None]:
    """FILE.py:function or FILE.json into the path and the function's name."""
    if arch.lower().endswith(".json"):
        return Path(arch), None
    file, colon, function = arch.rpartition(":")
    if not colon or not function.isidentifier() or not file:
        raise BridgeError(f"--arch {arch}: expected FILE.py:function or a .json file written by model.to_json().")
    return Path(file), function


def build(file: Path, function: str) -> keras.Model:
    """Calls `function` of `file`, which must return a built keras.Model."""
    file = existing_file(file, "the architecture")
    label = f"--arch {file}:{function}"
    with _user_code(file, str(file)):
        module = _load(file)
    made = getattr(module, function, None)
    if not callable(made):
        raise BridgeError(f"{label}: {file} has no function {function!r}. It has: {_functions(module) or 'none'}.")
    needed = _needed(made)
    if needed:
        raise BridgeError(
            f"{label}: it needs {', '.join(needed)}, and bridge calls it without arguments.\n"
            "Give them defaults, or name a function without parameters that calls it."
        )
    with _user_code(file, label):
        model = made()
    if not isinstance(model, keras.Model):
        raise BridgeError(f"{label}: returned {_described(model)}, expected a keras.Model.")
    return model


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise BridgeError(f"{file}: is not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _user_code(file: Path, label: str) -> Iterator[None]:
    folder, bytecode = str(file.resolve().parent), sys.dont_write_bytecode
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


def _one_line(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} (line {error.lineno})"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    place = f" (line {lines[-1]})" if lines else ""
    said = next(iter(str(error).strip().splitlines()), "")[:300]
    return f"{type(error).__name__}: {said}{place}"


def _functions(module: ModuleType) -> str:
    own = [n for n, item in vars(module).items() if inspect.isfunction(item) and item.__module__ == MODULE]
    return ", ".join(own)


def _needed(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # something callable without a signature: calling it will tell
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _described(value: Any) -> str:
    return "nothing (is a return missing?)" if value is None else f"an object of type {type(value).__name__}"
