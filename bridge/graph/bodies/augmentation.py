"""The bodies of the layers that change images in training, and of those that change their contrast always."""

from __future__ import annotations

from bridge.graph.bodies.space import space
from bridge.graph.body import body, integers, number
from bridge.graph.changes.inner_layers import layer_nodes
from bridge.graph.layer import AUGMENT, LACKED, Graph, Layer, Shape

AUGMENTATIONS = (*AUGMENT, *LACKED, "MaxNumBoundingBoxes")  # identities in inference


def unchanged(layer: Layer, shapes: list[Shape]) -> str:
    """y = x: these layers act in training only (and on bounding boxes, which a model's images don't have)."""
    space(layer, shapes[0])  # refuses another rank
    return "y = Identity(x)"


for _kind in AUGMENTATIONS:
    body(_kind)(unchanged)


def lacks(graph: Graph) -> tuple[str, ...]:
    """What training will lack in torch: one line for each layer that only Keras lets act."""
    found = {node.layer.path: node.kind for node in layer_nodes(graph) if node.layer and node.training is None}
    return tuple(_line(path, kind) for path, kind in found.items() if kind in LACKED)


def _line(path: str, kind: str) -> str:
    return f"Training in torch will lack {path} ({kind}), which in Keras's training {LACKED[kind]}."


@body("AutoContrast")
def auto_contrast(layer: Layer, shapes: list[Shape]) -> str:
    """The values of each image spread over the whole range, along axes 1 and 2 whatever the data format is.

    An image whose values are all the same stays as it is: that is 0 times infinity, which is no number.
    """
    space(layer, shapes[0])  # refuses another rank
    low, high = contrast_range(layer)
    lines = number("most", 255) + number("zero", 0) + integers("axes", [1, 2])
    inner, whole = "x", (low, high) == (0.0, 255.0)
    if not whole:
        lines += number("low", low) + number("width", high - low)
        lines += "above = Sub(x, low)\nshare = Div(above, width)\nf = Mul(share, most)\n"
        inner = "f"
    lines += f"least = ReduceMin <keepdims = 1> ({inner}, axes)\nlargest = ReduceMax <keepdims = 1> ({inner}, axes)\n"
    lines += "spread = Sub(largest, least)\nscale = Div(most, spread)\nminus = Neg(least)\noffset = Mul(minus, scale)\n"
    lines += f"scaled = Mul({inner}, scale)\nmoved = Add(scaled, offset)\nclipped = Clip(moved, zero, most)\n"
    lines += "flat = IsNaN(moved)\n"
    result = "clipped"
    if not whole:
        lines += "part = Div(clipped, most)\nwide = Mul(part, width)\nback = Add(wide, low)\n"
        result = "back"
    return f"{lines}y = Where(flat, x, {result})"


def contrast_range(layer: Layer) -> tuple[float, float]:
    low, high = sorted(map(float, layer.config["value_range"]))
    return low, high
