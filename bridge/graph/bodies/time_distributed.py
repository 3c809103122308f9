"""The nodes of a TimeDistributed layer: around the layer that it wraps, one merges batch and steps, one parts them."""

from __future__ import annotations

from bridge.graph.body import body, integers
from bridge.graph.layer import Layer, Shape


def parts_steps(layer: Layer) -> bool:
    """Whether this is the node behind the wrapped layer."""
    return bool(layer.config["call"]["part"])


@body("TimeDistributed")
def time_distributed(layer: Layer, shapes: list[Shape]) -> str:
    """(batch, steps, ...) -> (batch * steps, ...), or back, where the sequence that was merged may tell the steps."""
    if not parts_steps(layer):
        rest = shapes[0][2:]
        if None not in rest:
            return integers("shape", [-1, *rest]) + "y = Reshape(x, shape)"
        lines = integers("rows", [-1]) + "rest = Shape <start = 2> (x)\n"
        return lines + "shape = Concat <axis = 0> (rows, rest)\ny = Reshape(x, shape)"
    steps, rest = layer.config["call"].get("steps"), shapes[0][1:]
    x = "x" if len(shapes) == 1 else "x0"
    if steps is not None and None not in rest:
        return integers("shape", [-1, int(steps), *rest]) + f"y = Reshape({x}, shape)"
    lines = f"rest = Shape <start = 1> ({x})\n"
    if steps is not None:
        lines += integers("front", [-1, int(steps)])
    else:
        lines += "front = Shape <end = 2> (x1)\n"
    return lines + f"shape = Concat <axis = 0> (front, rest)\ny = Reshape({x}, shape)"
