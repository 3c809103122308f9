"""What standard operators make of sizes: arithmetic on shapes that stays arithmetic on shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from onnx import TensorProto

from bridge.graph import Node
from bridge.torch_side.writing.sizes_items import Item, Rest, Size, Sizes, Term

FAR = 10**9  # from here on a bound of a slice means "to the end"; tf2onnx writes this number
SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "//"}
_INTEGERS = {TensorProto.INT32: "int32", TensorProto.INT64: "int64"}


def results(node: Node, given: list[Sizes | None]) -> list[Sizes]:
    """What a node gives, where that is sizes; else nothing."""
    if node.kind == "Shape":
        start, end = (node.attributes.get(word) for word in ("start", "end"))
        return [Sizes(tuple(_axes(node.inputs[0], int(start or 0), None if end is None else int(end))))]
    form, known = _FORMS.get(node.kind), [sizes for sizes in given if sizes is not None]
    if len(known) < len(given):
        return []
    if node.kind == "Split":
        return _split(node, known)
    found = form(node, known) if form is not None else None
    return [] if found is None else [found]


def _split(node: Node, given: list[Sizes]) -> list[Sizes]:
    counts = [n for n in given[1].items if isinstance(n, int)] if len(given) > 1 else node.attributes.get("split", ())
    pieces, start = [], 0
    for count in counts:
        match given[0].items:
            case (Rest(value, 0, None),):
                items = tuple(_axes(value, start, start + count))
            case items if given[0].counted:
                items = items[start : start + count]
            case _:
                return []
        pieces.append(replace(given[0], items=items))
        start += count
    return pieces if len(pieces) == len(node.outputs) else []


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
    """What stands there, from the front or from the end; None where that depends on how many lengths a Rest is."""
    for place, item in enumerate(items) if index >= 0 else enumerate(reversed(items)):
        if isinstance(item, Rest):
            if place < len(items) - 1:
                return None
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
    last = None if end >= FAR else end
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
    axes = len(given[1].items) if len(given) > 1 else len(node.attributes["axes"])  # an attribute before opset 13
    return replace(given[0], scalar=False) if given[0].scalar and axes == 1 else None


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
    pairs = _paired(given)
    if pairs is None:
        return None
    if node.kind == "Div" and not all(isinstance(i, int) and i > 0 for i in right.items):
        return None  # it is cut toward zero, which // is for what is not negative
    if node.kind == "Div":
        wholes = [_floored(*pair) for pair in pairs]
        if any(whole is None and _may_be_negative(item) for whole, (item, _) in zip(wholes, pairs, strict=True)):
            return None
        pairs = [(item if whole is None else whole, by) for whole, (item, by) in zip(wholes, pairs, strict=True)]
    items = tuple(_term(SIGNS[node.kind], *pair) for pair in pairs)
    return Sizes(items, left.scalar and right.scalar, left.dtype)


def _modulo(node: Node, given: list[Sizes]) -> Sizes | None:
    pairs = _paired(given)
    if pairs is None or node.attributes.get("fmod"):
        return None
    return Sizes(tuple(_term("%", *pair) for pair in pairs), all(sizes.scalar for sizes in given), given[0].dtype)


def _floored(item: Item, by: Item) -> Item | None:
    """x of x - x % by, which can be divided by that number, whatever its sign."""
    match item:
        case Term("-", (left, Term("%", (right, number)))) if left == right and number == by:
            return left
    return None


def _paired(given: list[Sizes]) -> list[tuple[Item, Item]] | None:
    """The items that stand at one place each, single ones repeated."""
    wide = max(len(sizes.items) for sizes in given)
    if any(not sizes.counted or len(sizes.items) not in (1, wide) for sizes in given):
        return None
    return list(zip(*(sizes.items * (wide // max(len(sizes.items), 1)) for sizes in given), strict=True))


def _equal(node: Node, given: list[Sizes]) -> Sizes | None:
    """Which are equal, as 0 and 1; no size is a negative number."""
    items: list[Item] = []
    for left, right in _paired(given) or [(None, None)]:
        number, item = (left, right) if isinstance(left, int) else (right, left)
        if not isinstance(number, int) or not (isinstance(item, int) or (isinstance(item, Size) and number < 0)):
            return None
        items.append(int(number == item))
    return Sizes(tuple(items), all(sizes.scalar for sizes in given), "bool")


def grown(item: Item, start: int, by: int) -> Item:
    """start + by * item."""
    return _term("+", _term("*", item, by), start)


def _largest(node: Node, given: list[Sizes]) -> Sizes | None:
    pairs = _paired(given)
    if pairs is None:
        return None
    items = []
    for total, *others in pairs:
        for item in others:
            total = total if item == total else Term("max", (total, item))
        items.append(total)
    return replace(given[0], items=tuple(items), scalar=all(sizes.scalar for sizes in given))


def _term(sign: str, left: Item, right: Item) -> Item:
    if isinstance(left, int) and isinstance(right, int):
        whole, rest = divmod(left, right or 1)
        return {"+": left + right, "-": left - right, "*": left * right, "//": whole, "%": rest}[sign]
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
    "Equal": _equal,
    "Mod": _modulo,
    **dict.fromkeys(SIGNS, _signed),
}
