"""A layered model as plain ONNX: its functions written out, and what a runtime would pay for that, taken away."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper, shape_inference

from bridge.graph.changes.averages import average_globally
from bridge.graph.changes.inner import taken_by
from bridge.graph.changes.layouts import makers_of, permutation, readers_of
from bridge.graph.changes.scales import scale_in_place
from bridge.graph.changes.sequences import as_images


def inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model without functions: standard operators only, for runtimes that know no functions.

    The padding of an image becomes a part of the convolution or pooling behind it, and a convolution over steps one
    over images of one row: ONNX Runtime has its fastest code for these.
    """
    plain = inliner.inline_local_functions(proto)
    kept = [opset for opset in plain.opset_import if opset.domain in ("", "ai.onnx")]
    del plain.opset_import[:]
    plain.opset_import.extend(kept)
    del plain.metadata_props[:]  # it is no longer layered and must not say so
    values = _values(plain)
    _name_types(plain.graph, values)
    _name_lengths(plain.graph, values)
    _join_pads(plain.graph)
    average_globally(plain.graph, values)
    scale_in_place(plain.graph, values)
    as_images(plain.graph)
    _drop_unused(plain.graph)
    return plain


def _name_types(graph: onnx.GraphProto, values: dict[str, onnx.TypeProto.Tensor]) -> None:
    """Makes Casts of the CastLikes. These read a value for its type alone, which keeps others from being fused."""
    for node in graph.node:
        if node.op_type == "CastLike" and node.input[1] in values and (found := values[node.input[1]].elem_type):
            node.op_type = "Cast"
            del node.input[1]
            node.attribute.append(helper.make_attribute("to", found))


def _name_lengths(graph: onnx.GraphProto, values: dict[str, onnx.TypeProto.Tensor]) -> None:
    """Makes Constants of the Shapes of known lengths: a runtime computes what depends on these alone once."""
    for node in graph.node:
        if node.op_type != "Shape" or node.input[0] not in values:
            continue
        value, given = values[node.input[0]], {a.name: a.i for a in node.attribute}
        dims = list(value.shape.dim)[given.get("start", 0) : given.get("end")]
        if dims and all(dim.HasField("dim_value") for dim in dims):
            lengths = [dim.dim_value for dim in dims]
            node.CopyFrom(helper.make_node("Constant", [], node.output, node.name, value_ints=lengths))


def _values(plain: onnx.ModelProto) -> dict[str, onnx.TypeProto.Tensor]:
    """The type and shape of each value that ONNX can infer, by its name; read without the weights, however large."""
    bare = onnx.ModelProto()
    bare.ir_version = plain.ir_version
    bare.opset_import.extend(plain.opset_import)
    bare.graph.name = plain.graph.name
    bare.graph.node.extend(plain.graph.node)
    bare.graph.output.extend(plain.graph.output)
    weights = {
        tensor.name: helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in plain.graph.initializer
    }
    inputs = {value.name: value for value in plain.graph.input}
    bare.graph.input.extend((weights | inputs).values())
    graph = shape_inference.infer_shapes(bare, data_prop=True).graph
    return {value.name: value.type.tensor_type for value in [*graph.input, *graph.value_info, *graph.output]}


def _join_pads(graph: onnx.GraphProto) -> None:
    """Makes the zeros that a Pad puts around an image the next Conv's own; a MaxPool's, where no value is below zero.

    A MaxPool pads with -inf. To it zeros are the same behind a Relu, if each window holds a value of the image too.
    """
    makers, readers = makers_of(graph), readers_of(graph)
    smaller: set[str] = set()  # what is smaller than the graph says, because it is padded later
    for pad in graph.node:
        if pad.op_type != "Pad" or (added := _zeros_added(pad, makers)) is None:
            continue
        first = only = _only(readers, pad.output[0])
        turned: set[str] = set()
        while only is not None and (turn := permutation(only)) and len(turn) == added.shape[1]:
            added, turned = added[:, turn], turned | {*only.output}
            only = _only(readers, only.output[0])
        if first is None or only is None or added[:, :2].any():
            continue
        positive = only.op_type == "MaxPool" and _from_relu(pad.input[0], makers)
        if (only.op_type == "Conv" or positive) and _widened(only, added[:, 2:]):
            first.input[0] = pad.input[0]
            smaller |= turned
    told = [value for value in graph.value_info if value.name not in smaller]
    del graph.value_info[:]
    graph.value_info.extend(told)


def _only(readers: dict[str, list[onnx.NodeProto | None]], name: str) -> onnx.NodeProto | None:
    """The node that takes the value as its first input, if nothing else takes it."""
    found = readers.get(name, [])
    return found[0] if len(found) == 1 and found[0] is not None and found[0].input[:1] == [name] else None


def _zeros_added(pad: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> np.ndarray | None:
    """How many zeros a Pad adds [before and after, axis]; None if it does something else."""
    inputs = [*pad.input, "", ""][:4]
    pads, axes = (_constant(name, makers) for name in (inputs[1], inputs[3]))
    value = _constant(inputs[2], makers) if inputs[2] else 0
    mode = next((a.s for a in pad.attribute if a.name == "mode"), b"constant")
    if mode != b"constant" or pads is None or np.any(pads < 0) or value is None or np.any(value != 0):
        return None
    added = pads.reshape(2, -1)
    if not inputs[3]:
        return added
    return None if axes is None or sorted(axes) != [*range(len(axes))] else added[:, np.argsort(axes)]


def _constant(name: str, makers: dict[str, onnx.NodeProto]) -> np.ndarray | None:
    """The value of a Constant, cast or not."""
    node = makers.get(name)
    if node is not None and node.op_type in ("Cast", "CastLike"):
        return _constant(node.input[0], makers)
    if node is None or node.op_type != "Constant":
        return None
    value = helper.get_attribute_value(node.attribute[0])
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _from_relu(name: str, makers: dict[str, onnx.NodeProto]) -> bool:
    node = makers.get(name)
    while node is not None and node.op_type == "Transpose":
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Relu"


def _widened(window: onnx.NodeProto, added: np.ndarray) -> bool:
    """Adds to the pads of a Conv or MaxPool [before and after, spatial axis], if it can take them."""
    given = {a.name: helper.get_attribute_value(a) for a in window.attribute}
    size = given.get("kernel_shape", [])
    if len(size) != added.shape[1] or given.get("auto_pad", b"NOTSET") != b"NOTSET" or given.get("ceil_mode"):
        return False
    if len(window.output) > 1:
        return False  # the places of a MaxPool's largest values, which count the padding
    pads = added + np.reshape(given.get("pads", np.zeros_like(added)), added.shape)
    if window.op_type == "MaxPool" and (np.any(pads >= size) or set(given.get("dilations", [])) - {1}):
        return False
    others = [a for a in window.attribute if a.name != "pads"]
    del window.attribute[:]
    window.attribute.extend([*others, helper.make_attribute("pads", pads.ravel().tolist())])
    return True


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Takes away the nodes whose values nobody takes, and then those before them."""
    needed, kept = {value.name for value in graph.output}, []
    for node in reversed(graph.node):  # they are sorted: who takes a value stands behind who makes it
        if needed & set(node.output):
            needed |= {*taken_by(node)} - {""}
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
