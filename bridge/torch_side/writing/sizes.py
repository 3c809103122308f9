"""Arithmetic on shapes as plain Python numbers: `x.reshape(x.shape[0], -1, 8)` in place of tensors that hold sizes.

A traced model computes with shapes as with data: Shape, Gather, Concat, Reshape. In torch these would be tensors that
are read back to the CPU, which torch.compile and torch.export can't follow, and nobody likes to read.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from bridge.graph import Graph, Node
from bridge.torch_side.writing.sizes_forms import FAR, SIGNS, results
from bridge.torch_side.writing.sizes_items import Item, Rest, Size, Sizes, Writer, changed, sources
from bridge.torch_side.writing.step import Step
from bridge.torch_side.writing.truths import COMPARED, Truths


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
    truths = Truths(graph, known, computed)
    written = []
    for step in steps:
        node = step.node
        if node.layer is None:
            sizes = [computed.get(name, known.get(name)) for name in node.inputs]
            if node.kind == "Gather" and sizes[0] is not None:
                sizes[0] = _spread(sizes[0], graph)
            truths.note(node)
            step = truths.written(step)
            if node.kind == "Shape" or any(name in computed for name in node.inputs):
                found = results(node, sizes)
                computed |= {name: _there(each, graph) for name, each in zip(node.outputs, found, strict=False)}
                step = _written(step, {i: s for i, s in enumerate(sizes) if s and node.inputs[i] in computed}, sizes)
        written.append(step)
    return _needed(written, wanted)


def _there(sizes: Sizes, graph: Graph) -> Sizes:
    """The sizes without those of axes that a value does not have: a slice of a shape may reach beyond its end."""

    def is_there(item: Item) -> bool:
        value = graph.values.get(item.value) if isinstance(item, Size) else None
        return value is None or value.shape is None or -len(value.shape) <= item.axis < len(value.shape)  # type: ignore[union-attr]

    return replace(sizes, items=tuple(item for item in sizes.items if is_there(item)))


def _spread(sizes: Sizes, graph: Graph) -> Sizes:
    """The sizes, one by one those of values whose number of axes is known, where others follow: so each is found."""
    items: list[Item] = []
    for item in sizes.items:
        value = graph.values.get(item.value) if isinstance(item, Rest) else None
        if value is None or value.shape is None or len(sizes.items) == 1:
            items.append(item)
        else:
            assert isinstance(item, Rest)
            items += [Size(item.value, axis) for axis in range(len(value.shape))[item.start : item.end]]
    return replace(sizes, items=tuple(items))


def _needed(steps: list[Step], wanted: set[str]) -> list[Step]:
    kept = []
    for step in reversed(steps):
        if step.node.layer is not None or wanted & {*step.node.outputs}:
            kept.append(step)
            wanted = wanted | {*step.mentioned}
    return kept[::-1]


def _written(step: Step, computed: dict[int, Sizes], sizes: list[Sizes | None]) -> Step:
    """The step with the sizes that it takes in its call, as far as a form is known."""
    node, call = step.node, step.part.call
    if not computed or call is None:
        return step
    writer = Writer(node.inputs)
    source = next((name for found in computed.values() for name in sources(found)), None)
    # a constant of rank 0 would stand there as a plain number
    special = (
        None if "{0}.expand" not in call and node.kind == "Expand" else _special(node, writer, computed, sizes, source)
    )
    if special is not None:
        return changed(step, writer, special, step.part.functions)
    for index, found in computed.items():
        call = call.replace(f"{{{index}}}.tolist()", f"[{writer.items(found)}]")
        if found.counted and len(found.items) == 1:
            call = call.replace(f"{{{index}}}.item()", writer.item(found.items[0]))
        if source is not None:
            call = call.replace(f"{{{index}}}.device", f"{writer.value(source)}.device")
        plain = node.kind in SIGNS or node.kind in COMPARED
        if plain and found.scalar and len(computed) == 1 and sizes[1 - index] is None:
            call = call.replace(f"{{{index}}}", writer.item(found.items[0]))
    return changed(step, writer, call, step.part.functions)


def _special(
    node: Node, writer: Writer, computed: dict[int, Sizes], sizes: list[Sizes | None], source: str | None
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


def _cut(writer: Writer, sizes: list[Sizes | None]) -> str | None:
    """x[:, a:b] for a slice whose bounds are sizes and whose axes are counted from the front."""
    _, starts, ends, axes, steps = [*sizes, None, None][:5]
    if len(sizes) == 3 and starts is not None:
        axes = Sizes(tuple(range(len(starts.items))))
    if starts is None or ends is None or axes is None or (steps is not None and {*steps.items} != {1}):
        return None
    if not all(found.counted for found in (starts, ends)) or any(not isinstance(a, int) or a < 0 for a in axes.items):
        return None
    cuts = {}
    for axis, start, end in zip(axes.items, starts.items, ends.items, strict=True):
        first = "" if start == 0 else writer.item(start)
        cuts[axis] = f"{first}:{'' if isinstance(end, int) and end >= FAR else writer.item(end)}"
    listed = ", ".join(cuts.get(axis, ":") for axis in range(max(int(a) for a in cuts) + 1))  # type: ignore[call-overload]
    return f"{{0}}[{listed}]"
