"""Arithmetic on shapes as plain Python numbers: `x.reshape(x.shape[0], -1, 8)` in place of tensors that hold sizes.

A traced model computes with shapes as with data: Shape, Gather, Concat, Reshape. In torch these would be tensors that
are read back to the CPU, which torch.compile and torch.export can't follow, and nobody likes to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto

from bridge.graph import Graph, Node
from bridge.torch_side.part import Part
from bridge.torch_side.step import Step

_FAR = 10**9  # from here on a bound of a slice means "to the end"; tf2onnx writes this number
_SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "//"}
_COMPARED = {"Equal": "==", "Greater": ">", "GreaterOrEqual": ">=", "Less": "<", "LessOrEqual": "<="}
_WORDS = {"And": "and", "Or": "or", "Not": "not"}
_INTEGERS = {TensorProto.INT32: "int32", TensorProto.INT64: "int64"}


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


def with_plain_sizes(
    steps: list[Step], graph: Graph, wanted: set[str], numbers: dict[str, Sizes] | None = None
) -> list[Step]:
    """The steps, those that take sizes with the sizes written into their calls; what nothing needs any more is gone.

    wanted: the values that the steps are for. numbers: values that are plain numbers too.
    """
    known: dict[str, Sizes] = {}
    for name, array in graph.constants.items():
        if array.ndim < 2 and array.dtype in (np.int32, np.int64) and array.size <= 16:
            items = tuple(int(v) for v in array.reshape(-1))
            known[name] = Sizes(items, scalar=array.ndim == 0, dtype=array.dtype.name)
    computed: dict[str, Sizes] = dict(numbers or {})
    truths = _Truths(graph, known, computed)
    written = []
    for step in steps:
        node = step.node
        if node.layer is None:
            sizes = [computed.get(name, known.get(name)) for name in node.inputs]
            truths.note(node)
            step = truths.written(step)
            if node.kind == "Shape" or any(name in computed for name in node.inputs):
                found = _result(node, sizes)
                if found is not None:
                    computed[node.outputs[0]] = found
                step = _written(step, {i: s for i, s in enumerate(sizes) if s and node.inputs[i] in computed}, sizes)
        written.append(step)
    return _needed(written, wanted)


def _needed(steps: list[Step], wanted: set[str]) -> list[Step]:
    kept = []
    for step in reversed(steps):
        if step.node.layer is not None or wanted & {*step.node.outputs}:
            kept.append(step)
            wanted = wanted | {*step.mentioned}
    return kept[::-1]


def _result(node: Node, given: list[Sizes | None]) -> Sizes | None:
    """What a node gives, where that is sizes."""
    if node.kind == "Shape":
        start, end = (node.attributes.get(word) for word in ("start", "end"))
        return Sizes(tuple(_axes(node.inputs[0], int(start or 0), None if end is None else int(end))))
    form = _FORMS.get(node.kind)
    if form is None or any(sizes is None for sizes in given):
        return None
    return form(node, [sizes for sizes in given if sizes is not None])


def _axes(value: str, start: int, end: int | None) -> Iterator[Item]:
    if end is None or (start < 0) != (end < 0):
        yield Rest(value, start, end)
    else:
        yield from (Size(value, axis) for axis in range(start, end))


def _cast(node: Node, given: list[Sizes]) -> Sizes | None:
    dtype = _INTEGERS.get(node.attributes.get("to", 0))
    return replace(given[0], dtype=dtype) if dtype else None


def _gather(node: Node, given: list[Sizes]) -> Sizes | None:
    sizes, index = given
    if not all(isinstance(i, int) for i in index.items):
        return None
    items = [_item(sizes.items, int(i)) for i in index.items]  # type: ignore[arg-type]
    if any(item is None for item in items):
        return None
    return Sizes(tuple(item for item in items if item is not None), index.scalar, sizes.dtype)


def _item(items: tuple[Item, ...], index: int) -> Item | None:
    for place, item in enumerate(items) if index >= 0 else enumerate(reversed(items)):
        if isinstance(item, Rest):
            if index >= 0 and item.start >= 0:
                return Size(item.value, item.start + index - place)
            return Size(item.value, index + place) if index < 0 and item.end is None else None
        if place == (index if index >= 0 else -index - 1):
            return item
    return None


def _slice(node: Node, given: list[Sizes]) -> Sizes | None:
    sizes, starts, ends, *more = given
    steps = more[1].items if len(more) > 1 else (1,)
    if len(starts.items) != 1 or steps != (1,):
        return None
    (start,), (end,) = starts.items, ends.items
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    last = None if end >= _FAR else end
    if sizes.counted:
        return replace(sizes, items=sizes.items[start:last])
    match sizes.items:
        case (Rest(value, first, None),) if start >= 0 and first >= 0 and (last is None or last >= 0):
            return replace(sizes, items=tuple(_axes(value, first + start, None if last is None else first + last)))
        case (Rest(value, 0, None),):
            return replace(sizes, items=tuple(_axes(value, start, last)))
    return None


def _concat(node: Node, given: list[Sizes]) -> Sizes | None:
    return Sizes(tuple(item for sizes in given for item in sizes.items), dtype=given[0].dtype)


def _unsqueeze(node: Node, given: list[Sizes]) -> Sizes | None:
    return replace(given[0], scalar=False) if given[0].scalar and len(given[1].items) == 1 else None


def _squeeze(node: Node, given: list[Sizes]) -> Sizes | None:
    return replace(given[0], scalar=True) if given[0].counted and len(given[0].items) == 1 else None


def _reshape(node: Node, given: list[Sizes]) -> Sizes | None:
    if not given[0].counted or given[1].items not in ((), (-1,), (len(given[0].items),)):
        return None
    return replace(given[0], scalar=given[1].items == ())


def _identity(node: Node, given: list[Sizes]) -> Sizes | None:
    return given[0]


def _signed(node: Node, given: list[Sizes]) -> Sizes | None:
    left, right = given
    if not (left.counted and right.counted):
        return None
    wide = max(len(left.items), len(right.items))
    if any(len(sizes.items) not in (1, wide) for sizes in given):
        return None
    if node.kind == "Div" and not all(isinstance(i, int) and i > 0 for i in right.items):
        return None  # it is cut toward zero, which // is for what is not negative
    pairs = zip(*(sizes.items * (wide // len(sizes.items)) for sizes in given), strict=True)
    items = tuple(_term(_SIGNS[node.kind], *pair) for pair in pairs)
    if node.kind == "Div" and any(_may_be_negative(item) for item in left.items):
        return None
    return Sizes(items, left.scalar and right.scalar, left.dtype)


def grown(item: Item, start: int, by: int) -> Item:
    """start + by * item."""
    return _term("+", _term("*", item, by), start)


def as_tensor(node: Node, number: Sizes, like: str | None) -> Step:
    """A step that makes a tensor of a plain number. like: a value on whose device it is to be."""
    writer = _Writer([])
    device = f", device={writer.value(like)}.device" if like else ""
    call = f"torch.tensor({writer.items(number)}, dtype=torch.{number.dtype}{device})"
    return Step(replace(node, inputs=writer.inputs), Part(call=call), None)


def _largest(node: Node, given: list[Sizes]) -> Sizes | None:
    if any(not sizes.counted or len(sizes.items) != 1 for sizes in given):
        return None
    (total,), *others = (sizes.items for sizes in given)
    for (item,) in others:
        total = total if item == total else Term("max", (total, item))
    return replace(given[0], items=(total,), scalar=all(sizes.scalar for sizes in given))


def _term(sign: str, left: Item, right: Item) -> Item:
    if isinstance(left, int) and isinstance(right, int):
        return {"+": left + right, "-": left - right, "*": left * right, "//": left // max(right, 1)}[sign]
    if (sign, right) in (("+", 0), ("-", 0), ("*", 1), ("//", 1)):
        return left
    return right if (sign, left) in (("+", 0), ("*", 1)) else Term(sign, (left, right))


def _may_be_negative(item: Item) -> bool:
    if isinstance(item, Term):
        return item.sign == "-" or any(_may_be_negative(part) for part in item.parts)
    return isinstance(item, int) and item < 0


def _product(node: Node, given: list[Sizes]) -> Sizes | None:
    total: Item = 1
    for item in given[0].items:
        total = _term("*", total, Term("numel", (item,)) if isinstance(item, Rest) else item)
    return Sizes((total,), scalar=not node.attributes.get("keepdims", 1), dtype=given[0].dtype)


def _only(node: Node, given: list[Sizes]) -> Sizes | None:
    """The largest or smallest of a single one."""
    if not given[0].counted or len(given[0].items) != 1:
        return None
    return replace(given[0], scalar=given[0].scalar or not node.attributes.get("keepdims", 1))


_FORMS: dict[str, Callable[[Node, list[Sizes]], Sizes | None]] = {
    "Cast": _cast,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Identity": _identity,
    "ReduceProd": _product,
    **dict.fromkeys(("ReduceMax", "ReduceMin"), _only),
    "Max": _largest,
    **dict.fromkeys(_SIGNS, _signed),
}


class _Writer:
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


class _Truths:
    """What is true or false of sizes, for conditions: of these Python decides, and torch's compilers follow."""

    def __init__(self, graph: Graph, known: dict[str, Sizes], computed: dict[str, Sizes]):
        self.constants, self.known, self.computed = graph.constants, known, computed
        self.found: dict[str, Item] = {}
        self._floats: dict[str, Item] = {}  # sizes as floats, which tf2onnx compares

    def note(self, node: Node) -> None:
        if node.kind == "Cast" and node.attributes.get("to") in (TensorProto.FLOAT, TensorProto.DOUBLE):
            if (item := self._item(node.inputs[0])) is not None:
                self._floats[node.outputs[0]] = item
        elif node.kind in _WORDS and all(name in self.found for name in node.inputs):
            self.found[node.outputs[0]] = Term(_WORDS[node.kind], tuple(self.found[name] for name in node.inputs))
        elif node.kind == "Identity" and node.inputs[0] in self.found:
            self.found[node.outputs[0]] = self.found[node.inputs[0]]
        elif node.kind in _COMPARED:
            left, right = map(self._item, node.inputs)
            if left is not None and right is not None:
                self.found[node.outputs[0]] = Term(_COMPARED[node.kind], (left, right))

    def _item(self, name: str) -> Item | None:
        """A size, or a number, by itself."""
        if name in self._floats:
            return self._floats[name]
        sizes = self.computed.get(name, self.known.get(name))
        if sizes is not None:
            return sizes.items[0] if sizes.counted and len(sizes.items) == 1 else None
        constant = self.constants.get(name)
        if constant is None or constant.size != 1 or constant.dtype.kind != "f":
            return None
        value = float(constant.reshape(()))
        return int(value) if value.is_integer() else None

    def written(self, step: Step) -> Step:
        """A choice whose condition is known so, by that."""
        truth = self.found.get(step.node.inputs[0]) if step.node.kind == "If" else None
        if truth is None or step.part.call is None:
            return step
        writer = _Writer(step.node.inputs)
        call = step.part.call.replace(" if {0} else ", f" if {writer.item(truth)} else ")
        return _changed(step, writer, call, step.part.functions)


def _sources(sizes: Sizes) -> Iterator[str]:
    """The values whose shapes sizes come from."""
    waiting = list(sizes.items)
    while waiting:
        item = waiting.pop()
        if isinstance(item, Size | Rest):
            yield item.value
        elif isinstance(item, Term):
            waiting += item.parts


def _written(step: Step, computed: dict[int, Sizes], sizes: list[Sizes | None]) -> Step:
    """The step with the sizes that it takes in its call, as far as a form is known."""
    node, call = step.node, step.part.call
    if not computed or call is None:
        return step
    writer = _Writer(node.inputs)
    source = next((name for found in computed.values() for name in _sources(found)), None)
    # a constant of rank 0 would stand there as a plain number
    special = (
        None if "{0}.expand" not in call and node.kind == "Expand" else _special(node, writer, computed, sizes, source)
    )
    if special is not None:
        return _changed(step, writer, special, step.part.functions)
    for index, found in computed.items():
        call = call.replace(f"{{{index}}}.tolist()", f"[{writer.items(found)}]")
        if found.counted and len(found.items) == 1:
            call = call.replace(f"{{{index}}}.item()", writer.item(found.items[0]))
        if source is not None:
            call = call.replace(f"{{{index}}}.device", f"{writer.value(source)}.device")
        plain = node.kind in _SIGNS or node.kind in _COMPARED
        if plain and found.scalar and len(computed) == 1 and sizes[1 - index] is None:
            call = call.replace(f"{{{index}}}", writer.item(found.items[0]))
    return _changed(step, writer, call, step.part.functions)


def _changed(step: Step, writer: _Writer, call: str, functions: tuple[Callable[..., object], ...]) -> Step:
    used = tuple(f for f in functions if re.search(rf"\b{f.__name__}\(", call))
    inputs = [name if f"{{{i}}}" in call else "" for i, name in enumerate(writer.inputs)]
    return replace(step, node=replace(step.node, inputs=inputs), part=Part(call=call, functions=used))


def _special(
    node: Node, writer: _Writer, computed: dict[int, Sizes], sizes: list[Sizes | None], source: str | None
) -> str | None:
    """The calls that read better, or are easier to follow for torch's compilers, than the general form."""
    if node.kind == "Reshape" and 1 in computed and not node.attributes.get("allowzero"):
        wanted = computed[1]
        start = wanted.items if wanted.counted else ()
        if not wanted.counted and 0 in wanted.items:
            return None
        items = [Size(node.inputs[0], i) if item == 0 else item for i, item in enumerate(start)] or wanted.items
        return f"{{0}}.reshape({', '.join(writer.item(item) for item in items) or '()'})"
    if node.kind == "Expand" and 1 in computed and computed[1].counted and 1 not in computed[1].items:
        return f"{{0}}.expand({writer.items(computed[1])})"
    if node.kind == "Range" and source is not None and all(found is not None for found in sizes):
        bounds = ", ".join(writer.items(found) for found in sizes if found is not None)
        dtype = next(iter(computed.values())).dtype
        return f"torch.arange({bounds}, dtype=torch.{dtype}, device={writer.value(source)}.device)"
    floats = node.kind == "Cast" and node.attributes.get("to") == TensorProto.FLOAT
    if floats and source is not None and computed[0].scalar:
        device = f"{writer.value(source)}.device"
        return f"torch.full((), {writer.items(computed[0])}, dtype=torch.float32, device={device})"
    if node.kind == "Gather" and 1 in computed and computed[1].scalar and 0 not in computed:
        axis = int(node.attributes.get("axis", 0))
        place = writer.item(computed[1].items[0])
        return f"{{0}}[{':, ' * axis}{place}]" if axis >= 0 else None
    if node.kind == "Slice" and 0 not in computed:
        return _cut(writer, sizes)
    return None


def _cut(writer: _Writer, sizes: list[Sizes | None]) -> str | None:
    """x[:, a:b] for a slice whose bounds are sizes and whose axes are counted from the front."""
    _, starts, ends, axes, steps = [*sizes, None, None][:5]
    if starts is None or ends is None or axes is None or (steps is not None and {*steps.items} != {1}):
        return None
    if not all(found.counted for found in (starts, ends)) or any(not isinstance(a, int) or a < 0 for a in axes.items):
        return None
    cuts = {}
    for axis, start, end in zip(axes.items, starts.items, ends.items, strict=True):
        first = "" if start == 0 else writer.item(start)
        cuts[axis] = f"{first}:{'' if isinstance(end, int) and end >= _FAR else writer.item(end)}"
    listed = ", ".join(cuts.get(axis, ":") for axis in range(max(int(a) for a in cuts) + 1))  # type: ignore[call-overload]
    return f"{{0}}[{listed}]"
