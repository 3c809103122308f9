"""The user's own rules in torch: what they give is checked, so that model.py stands alone and weights go home."""

from __future__ import annotations

import builtins
import functools
import inspect
import math
import symtable
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge import user_code
from bridge.errors import BridgeError
from bridge.graph import Layer, Refused
from bridge.graph.layer import Shape
from bridge.graph.own_layers import is_own
from bridge.own_rules import Rules
from bridge.torch_side.writing.part import New, Part

if TYPE_CHECKING:
    from bridge.torch_side.writing.plan import Plan

ALONE = {"torch": torch, "nn": nn, "F": F, "Tensor": Tensor, "math": math, "Callable": Callable}  # what model.py has


def own_part(layer: Layer, shapes: list[Shape], rules: Rules | None) -> Part:
    """What the user's rule says of a layer. Raises Refused where there is none, or where it can't be used."""
    found = rules.form(layer.kind) if rules is not None else None
    if rules is None or found is None:
        known = rules.body(layer.kind) if rules is not None else None
        way = f"{known[1]} has its body alone, write the rule too" if known else "pass that file, --rules FILE.py"
        raise Refused(f"it is a layer of your own, and its torch form is in your file of rules: {way}")
    function, file = found
    where = f"its rule in {file} ({function.__name__})"
    try:
        with user_code.faults(file, where):
            part = function(layer, shapes)
            if isinstance(part, Part):
                _check(part, layer, rules, where)
    except Refused:
        raise
    except BridgeError as error:
        raise Refused(str(error)) from error
    if not isinstance(part, Part):
        raise Refused(f"{where} gives {user_code.described(part)}, expected a bridge.Part")
    return part


def _check(part: Part, layer: Layer, rules: Rules, where: str) -> None:
    used = [take.weight for take in part.weights.values()]
    if sorted(used) != sorted(layer.weights):
        wanted = ", ".join(f"{word} {weight.shape}" for word, weight in layer.weights.items()) or "none"
        raise Refused(
            f"{where} must use each of its weights once: they are {wanted}; it takes {', '.join(used) or 'none'}"
        )
    if part.weights and part.module is None:
        raise Refused(f"{where} takes weights and has no module to hold them")
    for word, take in part.weights.items():
        if not take.fits(len(layer.weights[take.weight].shape)):
            weight = layer.weights[take.weight]
            raise Refused(
                f"{where} takes {take.weight} for {word} by {take}, which does not fit its shape {weight.shape}"
            )
    if part.module is not None:
        _keep_first(part.module, rules)
        _ = part.module.source  # raises what can't stand in it
        for thing in part.module.things:
            _standing_alone(thing, where)
    for thing in part.functions:
        _standing_alone(thing, where)


def _keep_first(module: New, rules: Rules) -> None:
    """A class that the rule's function makes anew in each call is one class."""
    if not (inspect.isclass(module.kind) and issubclass(module.kind, nn.Module)):
        raise Refused(f"bridge.New is given {user_code.described(module.kind)}, expected a class of torch modules")
    if is_users(module.kind):
        module.kind = rules.kept.setdefault((module.kind.__module__, module.kind.__qualname__), module.kind)
    for value in (*module.args, *module.kwargs.values()):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, New):
                _keep_first(each, rules)


def is_users(thing: Any) -> bool:
    """Whether a class or function is the user's: neither torch's nor bridge's."""
    return thing.__module__.split(".")[0] not in ("torch", "bridge")


def needs(thing: Any) -> list[Any]:
    """The user's classes and functions that one of theirs names. Raises Refused for what model.py can't have."""
    known = _values(thing)
    found = []
    for name in _free_names(thing):
        value = known.get(name)
        if hasattr(builtins, name) or name == thing.__name__ or (name in ALONE and value in (None, ALONE[name])):
            continue
        copied = (inspect.isclass(value) or inspect.isfunction(value)) and is_users(value) and value.__name__ == name
        if not copied:
            raise Refused(
                f"{thing.__name__} uses {name}, and is copied into model.py, which stands alone: there are torch, nn, "
                "F, Tensor, math, and your own classes and functions. Hand what the rule knows to __init__"
            )
        found.append(value)
    return found


def _standing_alone(thing: Any, where: str, seen: set[Any] | None = None) -> None:
    seen = set() if seen is None else seen
    if not is_users(thing) or thing in seen:
        return
    seen.add(thing)
    try:
        for other in needs(thing):
            _standing_alone(other, where, seen)
    except Refused as reason:
        raise Refused(f"{where}: {reason}") from None


def source_of(thing: Any) -> str:
    """The text of a class or function, as at a file's top."""
    return _text_of(thing) if is_users(thing) else _text_of_ours(thing)


def _text_of(thing: Any) -> str:
    return textwrap.dedent(inspect.getsource(thing))


_text_of_ours = functools.cache(_text_of)  # to find a class, inspect parses the whole file; a user's may change


def _free_names(thing: Any) -> list[str]:
    """The names in its text that it does not define itself."""
    try:
        text, (lines, start) = source_of(thing), inspect.getsourcelines(thing)
    except (OSError, TypeError):
        raise Refused(f"{thing.__name__} has no source text to copy into model.py") from None
    methods = [m for m in vars(thing).values() if inspect.isfunction(m)] if inspect.isclass(thing) else []
    if any(not start <= method.__code__.co_firstlineno < start + len(lines) for method in methods):
        raise Refused(f"there are two classes {thing.__name__} in the file; give each a name of its own")
    text = f"from __future__ import annotations\n{text}"  # as in model.py
    names: dict[str, None] = {}

    def visit(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            top = table.get_type() == "module"
            free = symbol.is_global() or (top and not symbol.is_assigned() and not symbol.is_imported())
            if symbol.is_referenced() and free and not (not top and _defined(symbol.get_name())):
                names.setdefault(symbol.get_name())
        for child in table.get_children():
            visit(child)

    root = symtable.symtable(text, "rule", "exec")

    def _defined(name: str) -> bool:
        return any(s.get_name() == name and (s.is_assigned() or s.is_imported()) for s in root.get_symbols())

    visit(root)
    return list(names)


def _values(thing: Any) -> dict[str, Any]:
    """What names mean where the thing was written, as far as that can be told."""
    functions = [thing] if inspect.isfunction(thing) else [m for m in _methods(thing) if inspect.isfunction(m)]
    known: dict[str, Any] = dict(vars(inspect.getmodule(thing) or builtins))
    for function in functions:
        if function.__closure__:
            for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
                known[name] = cell.cell_contents
    if inspect.isclass(thing):
        known |= {base.__name__: base for base in thing.__bases__ if is_users(base)}
    return known


def _methods(kind: type) -> Iterator[Any]:
    for member in vars(kind).values():
        yield member.fget if isinstance(member, property) else getattr(member, "__func__", member)


def check_own(module: nn.Module, plan: Plan) -> None:
    """Raises BridgeError if a user's module does not hold the tensors that its rule says, as parameters and buffers."""
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    held = module.state_dict()
    for step in plan.all_steps:
        layer = step.node.layer
        if step.name is None or layer is None or not is_own(layer):
            continue
        where = f"{layer}: its module {step.part.module.kind.__name__}"  # type: ignore[union-attr]
        prefix = ".".join(step.name) + "."
        wanted = {f"{prefix}{word}": layer.weights[take.weight] for word, take in step.part.weights.items()}
        if extra := [key for key in held if key.startswith(prefix) and key not in wanted]:
            raise BridgeError(f"{where} has the tensor {extra[0].removeprefix(prefix)}, which no weight of it becomes.")
        for word, take in step.part.weights.items():
            key, weight = f"{prefix}{word}", layer.weights[take.weight]
            shape = take.shape(weight.shape)
            if key not in held or tuple(held[key].shape) != shape:
                found = tuple(held[key].shape) if key in held else "missing"
                raise BridgeError(
                    f"{where}: {word} is {found}; {take.weight} {weight.shape} is {shape} in torch by its rule."
                )
            if key not in (buffers if weight.state else parameters):
                what = "a buffer: Keras never trains it" if weight.state else "a parameter: Keras trains it"
                raise BridgeError(f"{where}: {word} must be {what} ({take.weight}).")


def check_alone(module: nn.Module) -> None:
    """Raises BridgeError if model.py, which has copies of the user's classes in it, does not run by itself."""
    from bridge.torch_side.writing.build import plan_of
    from bridge.torch_side.writing.source import file_source
    from bridge.torch_side.writing.source_names import class_name

    plan = plan_of(module)
    scope: dict[str, Any] = {"__name__": "model", "__file__": "model.py"}
    try:
        exec(compile(file_source(plan, "bridge"), "model.py", "exec"), scope)
        scope[class_name(plan)]().load_state_dict(module.state_dict())
    except BridgeError:
        raise
    except Exception as error:  # whatever the user's copied code raises
        raise BridgeError(
            f"model.py, with copies of your classes in it, does not run by itself: {type(error).__name__}: {error}"
        ) from error
