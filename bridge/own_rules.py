"""`--rules FILE.py`: the user's rules for their own layers, read by the Keras side and by the torch side.

    import bridge

    @bridge.body("demo>Scale")
    def scale_body(layer, shapes):
        return "y = Mul(x, factor)"

    @bridge.rule("demo>Scale")
    def scale(layer, shapes):
        from torch import nn
        ...
        return bridge.Part(bridge.New(Scale, ...), weights={"factor": bridge.Take("factor")})

The name is the class's registered one, or its class name alone. A file is run where it is named, never found by itself.
"""

from __future__ import annotations

import ast
import importlib.abc
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge import user_code
from bridge.errors import BridgeError

Function = Callable[..., Any]
FRAMEWORKS = ("torch", "tensorflow", "keras", "tf_keras", "tf2onnx")
_numbers = itertools.count()
_reading: list[tuple[Rules, Path]] = []  # the rules that the running file adds to


@dataclass
class Rules:
    """What the files say: functions for the ONNX bodies and the torch forms of layers, by the layers' names."""

    files: tuple[Path, ...] = ()
    bodies: dict[str, tuple[Function, Path]] = field(default_factory=dict)
    forms: dict[str, tuple[Function, Path]] = field(default_factory=dict)
    text: str = ""
    kept: dict[Any, Any] = field(default_factory=dict)  # classes that a rule makes anew in each call, the first of each

    def knows(self, kind: str) -> bool:
        """Whether there is a body for a layer of this registered name."""
        return _of(self.bodies, kind) is not None

    def body(self, kind: str) -> tuple[Function, Path] | None:
        return _of(self.bodies, kind)

    def form(self, kind: str) -> tuple[Function, Path] | None:
        return _of(self.forms, kind)


def body(name: str) -> Callable[[Function], Function]:
    """Gives a layer class of your own its ONNX body, in a file for --rules.

    name: `Package>Name`, or the class's name alone. The function gets the layer and its inputs' shapes (axis 0 is the
    batch) and returns lines of ONNX text from the inputs `x` (or x0, x1, ...) and the weights, by the layer's words for
    them, to `y` (and y1, y2, ...).
    """
    return _adds("body", name)


def rule(name: str) -> Callable[[Function], Function]:
    """Gives a layer class of your own its torch form, in a file for --rules.

    name: as for `body`. The function gets the layer and its inputs' shapes and returns a bridge.Part: the module, and
    for each of its tensors the weight that it is, with bridge.Take. It imports torch itself.
    """
    return _adds("rule", name)


def read(files: Iterable[str | Path]) -> Rules:
    """Runs the files and gathers their rules. Raises BridgeError for a file that fails, or that imports a framework."""
    rules = Rules(tuple(map(Path, files)))
    for file in rules.files:
        _reading.append((rules, file))
        try:
            with _no_framework(file):
                user_code.load(file, f"{user_code.MODULE}_rules_{next(_numbers)}", "the rules")
        finally:
            _reading.pop()
        rules.text += file.read_text(encoding="utf-8", errors="replace")
    if alone := [name for name in rules.forms if _of(rules.bodies, name) is None]:
        raise BridgeError(
            f"{rules.forms[alone[0]][1]}: has a rule for {alone[0]} and no body, which says what it computes in ONNX.\n"
            f'Write one: @bridge.body("{alone[0]}")'
        )
    if files and not rules.bodies:
        raise BridgeError(f"{rules.files[0]}: has no rules. Each is a function with @bridge.body or @bridge.rule.")
    return rules


def _adds(what: str, name: str) -> Callable[[Function], Function]:
    if not isinstance(name, str) or not name or name.count(">") > 1:
        raise BridgeError(f"@bridge.{what}: expected the name of a layer class, as in @bridge.{what}('Package>Name').")

    def add(function: Function) -> Function:
        if _reading:  # else the user's own code imports the file
            rules, file = _reading[-1]
            known = rules.bodies if what == "body" else rules.forms
            if name in known:
                raise BridgeError(f"{file}: {name} has two of @bridge.{what}: {known[name][0].__name__} and another.")
            known[name] = (function, file)
        return function

    return add


def _of(known: dict[str, tuple[Function, Path]], kind: str) -> tuple[Function, Path] | None:
    return known.get(kind) or known.get(kind.rpartition(">")[2])


@contextmanager
def _no_framework(file: Path) -> Iterator[None]:
    """Refuses a framework imported at the file's top: the file is read beside TensorFlow and beside torch."""
    try:
        tree = ast.parse(file.read_bytes()) if file.is_file() else ast.Module([], [])
    except (SyntaxError, ValueError):
        tree = ast.Module([], [])  # running the file says it better
    for node in _at_the_top(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
        if found := [name for name in names if name.split(".")[0] in FRAMEWORKS]:
            raise _framework(file, found[0], f" (line {node.lineno})")  # type: ignore[attr-defined]

    class Guard(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, path: Any, target: Any = None) -> None:
            if name in FRAMEWORKS:
                raise _framework(file, name, ", by a file that it imports")

    guard = Guard()
    sys.meta_path.insert(0, guard)
    try:
        yield
    finally:
        sys.meta_path.remove(guard)


def _framework(file: Path, name: str, where: str) -> BridgeError:
    return BridgeError(
        f"{file}: imports {name} at its top{where}, but it is read beside TensorFlow and beside torch, which must not "
        "share a process.\nImport it inside the function of the rule."
    )


def _at_the_top(tree: ast.AST) -> Iterator[ast.AST]:
    """The imports that run with the file: not those inside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _at_the_top(node)
