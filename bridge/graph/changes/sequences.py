"""Sequences as images of one row: ONNX Runtime has its fastest code for convolutions and poolings of those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import helper

from bridge.graph.changes.free_names import FreeNames

_WINDOWS = frozenset({"Conv", "MaxPool", "AveragePool"})
_OPTIONS = ("kernel_shape", "strides", "dilations")
# What does to an image just what it does to a sequence
_ALIKE = frozenset(
    {
        *("Relu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSigmoid", "Clip"),
        *("Identity", "BatchNormalization"),
    }
)
_TURNS = {1: [0, 3, 1, 2], 2: [0, 2, 3, 1]}  # (batch, 1, steps, channels) to (batch, channels, 1, steps) and back
_SUMS = frozenset({"Add", "Sub", "Mul"})


def as_images(graph: onnx.GraphProto) -> None:
    """Gives the windows over steps a row to slide along; what stands between two of them takes images as well.

    The sequence of each image stays; those that nobody takes are left to be dropped.
    """
    rows = _Rows(FreeNames(graph))
    nodes = [made for node in graph.node for made in rows.nodes(node)]
    del graph.node[:]
    graph.node.extend(nodes)


class _Rows:
    """images: by the name of a sequence, the image that is the same and the axis of its one row."""

    def __init__(self, free: FreeNames):
        self._free = free
        self._images: dict[str, tuple[str, int]] = {}

    def nodes(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """What takes the node's place."""
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        images = [self._images[name] for name in node.input if name in self._images]
        if node.op_type in _WINDOWS and len(given.get("kernel_shape", [])) == 1 and len(node.output) == 1:
            yield from self._window(node, given)
        elif not images or len(node.output) != 1:
            yield node
        elif node.op_type == "Transpose" and list(given.get("perm", [])) == [0, 2, 1]:
            image, axis = images[0]
            yield from self._made(node, [image], {"perm": _TURNS[axis]}, 3 - axis)
        elif node.op_type in _ALIKE and node.input[0] in self._images:
            image, axis = images[0]
            fits = axis == 2 or node.op_type != "BatchNormalization"
            yield from self._made(node, [image, *node.input[1:]], given, axis) if fits else (node,)
        elif node.op_type in _SUMS and len(images) == 2 and images[0][1] == images[1][1]:
            yield from self._made(node, [image for image, _ in images], given, images[0][1])
        else:
            yield node

    def _window(self, node: onnx.NodeProto, given: dict[str, Any]) -> Iterator[onnx.NodeProto]:
        given |= {name: [1, *given[name]] for name in _OPTIONS if name in given}
        if "pads" in given:
            before, after = given["pads"]
            given["pads"] = [0, before, 0, after]
        inputs = list(node.input)
        image, axis = self._images.get(inputs[0], ("", 0))
        for i, name in enumerate(inputs[:2]):
            if i or axis != 2:
                at, image_i = self._free(f"{name}_axis"), self._free(f"{name}_image")
                yield helper.make_node("Constant", [], [at], value_ints=[2])
                yield helper.make_node("Unsqueeze", [name, at], [image_i])
                inputs[i] = image_i
            else:
                inputs[i] = image
        yield from self._made(node, inputs, given, 2)

    def _made(
        self, node: onnx.NodeProto, inputs: list[str], attributes: dict[str, Any], axis: int
    ) -> Iterator[onnx.NodeProto]:
        """The node for images, and its sequence."""
        sequence = node.output[0]
        at, image = self._free(f"{sequence}_axis"), self._free(f"{sequence}_image")
        self._images[sequence] = (image, axis)
        yield helper.make_node(node.op_type, inputs, [image], node.name, **attributes)
        yield helper.make_node("Constant", [], [at], value_ints=[axis])
        yield helper.make_node("Squeeze", [image, at], [sequence])
