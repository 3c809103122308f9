"""`--into FILE.py:Class`: the user's own torch module, made and called."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bridge.errors import BridgeError
from bridge.files import existing_file

MODULE = "_bridge_into"  # private, so that it can't take the place of anything installed


class UserModule:
    """The user's module in evaluation mode, whose faults become messages that name its file and line."""

    def __init__(self, spec: str):
        self.label = f"--into {spec}"
        self.file, name = split(spec)
        existing_file(self.file, "your module")
        with self._faults(str(self.file)):
            source = _load(self.file)
        made = getattr(source, name, None)
        if not callable(made):
            raise BridgeError(f"{self.label}: {self.file} has no {name!r}. It has: {_listed(source) or 'nothing'}.")
        needed = _needed(made)
        if needed:
            raise BridgeError(
                f"{self.label}: it needs {', '.join(needed)}, and bridge calls it without arguments.\n"
                "Give them defaults, or name a function without parameters that makes it."
            )
        with self._faults(self.label):
            module = made()
        if not isinstance(module, nn.Module):
            found = "nothing (is a return missing?)" if module is None else f"an object of type {type(module).__name__}"
            raise BridgeError(f"{self.label}: gives {found}, expected a torch.nn.Module.")
        self.module: nn.Module = module.cpu().eval()

    def __call__(self, inputs: dict[str, np.ndarray]) -> Any:
        """What forward returns for the inputs of a Keras model, given by name where it has these names, else in order.

        Raises BridgeError with the line of the user's file if it raises.
        """
        precise = any(p.dtype == torch.float64 for p in self.module.parameters())
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}
        if precise:
            tensors = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
        with torch.no_grad(), self._faults(f"{self.label}: forward of {_described(tensors)}"):
            if set(tensors) <= set(inspect.signature(self.module.forward).parameters):
                return self.module(**tensors)
            return self.module(*tensors.values())

    def calls(self, inputs: dict[str, np.ndarray]) -> list[str]:
        """The names of the submodules in the order of their first call."""
        names: dict[str, None] = {}

        def note(name: str, _module: nn.Module, _inputs: Any) -> None:
            names.setdefault(name)

        hooks = [m.register_forward_pre_hook(partial(note, name)) for name, m in self.module.named_modules()]
        try:
            self(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return list(names)

    def results(self, inputs: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """What each submodule gave at its first call, by name."""
        values: dict[str, Tensor] = {}

        def keep(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
            values.setdefault(name, output)

        hooks = [m.register_forward_hook(partial(keep, name)) for name, m in self.module.named_modules()]
        try:
            self(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    @contextmanager
    def _faults(self, label: str) -> Iterator[None]:
        folder, bytecode = str(self.file.resolve().parent), sys.dont_write_bytecode
        sys.path.append(folder)  # last: the file may import its neighbours, but none of them shadows a package
        sys.dont_write_bytecode = True  # nothing is written beside the user's files
        try:
            yield
        except BridgeError:
            raise
        except (Exception, SystemExit) as error:  # anything can come out of the user's code, and it is theirs to mend
            raise BridgeError(f"{label} raised {_one_line(error, self.file)}") from error
        finally:
            sys.dont_write_bytecode = bytecode
            sys.path.remove(folder)


def load_class(spec: str) -> nn.Module:
    """The module that FILE.py:Class (or :function) makes, in evaluation mode. Raises BridgeError if it makes none."""
    return UserModule(spec).module


def split(spec: str) -> tuple[Path, str]:
    """FILE.py:Class into the path and the name."""
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise BridgeError(f"--into {spec}: expected FILE.py:Class, or FILE.py:function that makes the module.")
    return Path(file), name


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise BridgeError(f"{file}: is not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module


def _one_line(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} (line {error.lineno})"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    place = f" (line {lines[-1]})" if lines else ""
    said = next(iter(str(error).strip().splitlines()), "")[:300]
    return f"{type(error).__name__}: {said}{place}"


def _listed(module: ModuleType) -> str:
    def is_own(item: Any) -> bool:
        is_module = inspect.isclass(item) and issubclass(item, nn.Module)
        return (is_module or inspect.isfunction(item)) and item.__module__ == MODULE

    return ", ".join(name for name, item in vars(module).items() if is_own(item))


def _needed(made: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):  # something callable without a signature: calling it will tell
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _described(tensors: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
