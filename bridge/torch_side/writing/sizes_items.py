"""Sizes: what the items of a shape are, and their text in a converted model's source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bridge.graph import Node
from bridge.torch_side.writing.part import Part
from bridge.torch_side.writing.step import Step


@dataclass(frozen=True)
class Size:
    """The length of a value's axis."""

    value: str
    axis: int


@dataclass(frozen=True)
class Rest:
    """The lengths of a value's axes from one on, up to another or the last: any number of them."""

    value: str
    start: int
    end: int | None = None


@dataclass(frozen=True)
class Term:
    """A sign between two sizes, or the product of a Rest."""

    sign: str
    parts: tuple[Item, ...]


@dataclass(frozen=True)
class Plain:
    """A value that is a plain number in the source: the number of a loop's step."""

    value: str


Item = int | Size | Rest | Plain | Term


@dataclass(frozen=True)
class Sizes:
    """An integer vector, or a scalar, by what its items are."""

    items: tuple[Item, ...]
    scalar: bool = False
    dtype: str = "int64"

    @property
    def counted(self) -> bool:
        return not any(isinstance(item, Rest) for item in self.items)


class Writer:
    """Writes sizes as text in which the values whose shapes they are stand as numbered inputs of a node."""

    def __init__(self, inputs: list[str]):
        self.inputs = list(inputs)

    def value(self, name: str) -> str:
        if name not in self.inputs:
            self.inputs.append(name)
        return f"{{{self.inputs.index(name)}}}"

    def item(self, item: Item) -> str:
        match item:
            case Plain(value):
                return self.value(value)
            case Size(value, axis):
                return f"{self.value(value)}.shape[{axis}]"
            case Rest(value, start, end):
                return f"*{self.value(value)}.shape[{start or ''}:{'' if end is None else end}]"
            case Term("not", (item,)):
                return f"(not {self.item(item)})"
            case Term("numel", (rest,)):
                return f"{self.item(rest)[1:]}.numel()"
            case Term("max", (left, right)):
                return f"torch.sym_max({self.item(left)}, {self.item(right)})"
            case Term(sign, (left, right)):
                return f"({self.item(left)} {sign} {self.item(right)})"
        return str(item)

    def items(self, sizes: Sizes) -> str:
        return ", ".join(self.item(item) for item in sizes.items)


def sources(sizes: Sizes) -> Iterator[str]:
    """The values whose shapes sizes come from."""
    waiting = list(sizes.items)
    while waiting:
        item = waiting.pop()
        if isinstance(item, Size | Rest):
            yield item.value
        elif isinstance(item, Term):
            waiting += item.parts


def changed(step: Step, writer: Writer, call: str, functions: tuple[Callable[..., object], ...]) -> Step:
    used = tuple(f for f in functions if re.search(rf"\b{f.__name__}\(", call))
    inputs = [name if f"{{{i}}}" in call else "" for i, name in enumerate(writer.inputs)]
    return replace(step, node=replace(step.node, inputs=inputs), part=Part(call=call, functions=used))


def as_tensor(node: Node, number: Sizes, like: str | None) -> Step:
    """A step that makes a tensor of a plain number. like: a value on whose device it is to be."""
    writer = Writer([])
    device = f", device={writer.value(like)}.device" if like else ""
    call = f"torch.tensor({writer.items(number)}, dtype=torch.{number.dtype}{device})"
    return Step(replace(node, inputs=writer.inputs), Part(call=call), None)
