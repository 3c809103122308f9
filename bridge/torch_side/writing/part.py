"""What a rule says: which torch module a Keras layer becomes, how it is called, where each weight comes from."""

from __future__ import annotations

import ast
import inspect
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from bridge.graph import Layer
from bridge.graph.layer import Shape

_LITERALS = (bool, int, float, str, type(None))


class New:
    """A module still to be made: New(nn.Linear, 784, 64) is `nn.Linear(784, 64)`, as source and as an object."""

    def __init__(self, kind: type[nn.Module], *args: Any, **kwargs: Any):
        self.kind, self.args, self.kwargs = kind, args, kwargs

    @property
    def source(self) -> str:
        """The expression that makes it, of literals and further New alone, so that a model file can't bring code."""
        listed = [_argument(a) for a in self.args] + [f"{k}={_argument(a)}" for k, a in self.kwargs.items()]
        prefix = "nn." if getattr(nn, self.kind.__name__, None) is self.kind else ""
        return f"{prefix}{self.kind.__name__}({', '.join(listed)})"

    @property
    def things(self) -> list[Any]:
        """The classes and functions that its source names."""
        values = (*self.args, *self.kwargs.values())
        given = [a for value in values for a in (value if isinstance(value, list) else [value])]
        inner = [thing for a in given if isinstance(a, New) for thing in a.things]
        return [*inner, *(a for a in given if inspect.isfunction(a)), self.kind]


def _argument(value: Any) -> str:
    """A module, a list of modules, one of bridge's own functions, or a plain value as source."""
    if isinstance(value, New):
        return value.source
    if inspect.isfunction(value):
        return value.__name__
    if isinstance(value, list):
        return f"[{', '.join(map(_argument, value))}]"
    return literal(value)


def literal(value: Any) -> str:
    """A plain value as source. Raises TypeError for anything that is not one."""
    if isinstance(value, tuple | list):
        items = ", ".join(literal(v) for v in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        # in double quotes, as Python reads it too; what UTF-8 can't hold (half of a surrogate pair) by its number
        return ascii(value) if re.search("[\ud800-\udfff]", value) else json.dumps(value, ensure_ascii=False)
    if type(value) not in _LITERALS:
        raise TypeError(f"only plain values can stand in a module's source, not {value!r}")
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    return repr(value)


Axes = tuple["int | tuple[int, ...]", ...] | None


@dataclass(frozen=True)
class Take:
    """A torch tensor as a Keras weight with its axes in another order (None: as they are).

    An entry of axes may be several Keras axes that are one in torch, or none, which is an axis of length 1:
    ((2, 3), (), 0, 1) makes (height, width, in, multiplier) to (in * multiplier, 1, height, width).
    gates: the last Keras axis is blocks of one length, a gate each; in torch they come in this order.
    """

    weight: str
    axes: Axes = None
    gates: tuple[int, ...] | None = None

    def to_torch(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(self._moved(array), order="C", copy=True))

    def fill(self, tensor: torch.Tensor, array: np.ndarray) -> None:
        """Copies the Keras weight into the torch tensor, without a copy between."""
        moved = np.require(self._moved(array), requirements="W")  # torch warns of what it could not write to
        if tuple(tensor.shape) != moved.shape:
            raise ValueError(f"{self.weight}: the tensor is {tuple(tensor.shape)}, the weight {moved.shape}")
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(moved))

    def _moved(self, array: np.ndarray) -> np.ndarray:
        return _blocks(array, self.gates).transpose(self._order(array.ndim)).reshape(self.shape(array.shape))

    def to_keras(self, tensor: torch.Tensor, keras_shape: tuple[int, ...]) -> np.ndarray:
        return np.array(self.seen(tensor, keras_shape), order="C", copy=None)  # a scalar gets no axis by this

    def seen(self, tensor: torch.Tensor, keras_shape: tuple[int, ...]) -> np.ndarray:
        """The Keras weight in the torch tensor's own memory where that can be: not in Keras's order of bytes."""
        order = self._order(len(keras_shape))
        array = tensor.detach().cpu().numpy().reshape([keras_shape[a] for a in order])
        array = array.transpose(np.argsort(order))
        if self.gates is not None:
            array = _blocks(array, tuple(map(int, np.argsort(self.gates))))
        return array

    def back(self, tensor: str, keras_shape: tuple[int, ...]) -> str:
        """The expression of the Keras weight, its axes in Keras's order, from that of the torch tensor."""
        order = self._order(len(keras_shape))
        if len(order) != len(self.axes or order):
            tensor = f"{tensor}.reshape({', '.join(str(keras_shape[a]) for a in order)})"
        back = tuple(int(a) for a in np.argsort(order))
        return tensor if back == tuple(range(len(order))) else f"{tensor}.permute({', '.join(map(str, back))})"

    def shape(self, keras_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The torch tensor's shape."""
        if self.axes is None:
            return keras_shape
        return tuple(math.prod(keras_shape[a] for a in _several(entry)) for entry in self.axes)

    def fits(self, rank: int) -> bool:
        """Whether it is an order of all the axes of a Keras weight."""
        return sorted(self._order(rank)) == list(range(rank))

    def axis(self, keras_axis: int, rank: int) -> int:
        """Where an axis of the Keras weight is in the torch tensor, with its `merged` axes taken apart."""
        return self.apart(rank).index((keras_axis % rank,))

    def merged(self, keras_shape: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
        """The torch axes that are several Keras axes at once, and these axes' lengths."""
        entries = enumerate(self.axes or ())
        return {i: tuple(keras_shape[a] for a in e) for i, e in entries if isinstance(e, tuple) and len(e) > 1}

    def _order(self, rank: int) -> list[int]:
        return [a for entry in self.apart(rank) for a in entry]

    def apart(self, rank: int) -> list[tuple[int, ...]]:
        """The torch axes with merged ones taken apart: the Keras axis that each is, () for an axis of length 1."""
        listed = range(rank) if self.axes is None else self.axes
        return [one for entry in listed for one in ([(a,) for a in _several(entry)] or [()])]

    def __str__(self) -> str:
        move = {None: "identity", (1, 0): "transpose"}.get(self.axes, f"permute {self.axes}")
        return move if self.gates is None else f"{move}, gates {self.gates}"

    @classmethod
    def named(cls, weight: str, move: str) -> Take:
        """The Take that str() calls `move`; ValueError if none is. `fits` tells whether a weight has these axes."""
        move, _, order = move.partition(", gates ")
        if order:
            if not re.fullmatch(r"\(\d(, \d)+\)", order):
                raise ValueError(f"unknown order of gates {order!r}")
            return replace(cls.named(weight, move), gates=ast.literal_eval(order))
        if move in ("identity", "transpose"):
            return cls(weight, None if move == "identity" else (1, 0))
        entry = r"(\d+|\(\)|\(\d+(, \d+)+\))"
        if not re.fullmatch(rf"permute \({entry}(,|(, {entry})+)\)", move):
            raise ValueError(f"unknown move {move!r}")
        return cls(weight, ast.literal_eval(move.removeprefix("permute ")))


def _blocks(array: np.ndarray, order: tuple[int, ...] | None) -> np.ndarray:
    """The array with the blocks of its last axis in another order."""
    if order is None:
        return array
    return np.concatenate([np.split(array, len(order), -1)[i] for i in order], -1)


def _several(entry: int | tuple[int, ...]) -> tuple[int, ...]:
    return entry if isinstance(entry, tuple) else (entry,)


@dataclass(frozen=True)
class Part:
    """A layer in torch.

    module: None for a layer that is only an expression.
    weights: torch's own word ("weight", "running_mean") -> how it comes from the layer's weights; each used once.
    call: source of the call; {0}, {1}, ... are the inputs, {self} the module. Default: the module on all inputs.
    functions: plain functions that `call` uses and that a standalone source needs.
    """

    module: New | None = None
    weights: dict[str, Take] = field(default_factory=dict)
    call: str | None = None
    functions: tuple[Callable[..., Any], ...] = ()


Rule = Callable[[Layer, list[Shape]], Part]
RULES: dict[str, Rule] = {}
NOTES: dict[str, str] = {}  # what README's table says of a layer besides


def rule(kind: str, note: str = "") -> Callable[[Rule], Rule]:
    """Registers the torch rule of a Keras layer class. note: what users need to know of it, for README's table.

    The function gets the layer and its tensor inputs' shapes (axis 0 is the batch); it raises Refused when it must.
    """

    def register(function: Rule) -> Rule:
        if kind in RULES:
            raise ValueError(f"{kind} has two rules: {RULES[kind].__name__} and {function.__name__}")
        RULES[kind] = function
        if note:
            NOTES[kind] = note
        return function

    return register
