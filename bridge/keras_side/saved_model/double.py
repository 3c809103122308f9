"""A program in float64: the reference that rounding is told by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import AttrValue
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.types_pb2 import DT_DOUBLE, DT_FLOAT
from tensorflow.python.eager import context
from tensorflow.python.framework.tensor_util import MakeNdarray

from bridge.keras_side.saved_model.lend import lend
from bridge.keras_side.saved_model.program import attribute_functions

_NORMALIZATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")  # which have no float64 form


def in_double(function: Any, lent: Collection[int] = ()) -> Callable[..., list[tf.Tensor]]:
    """The function of tensors with every float32 in it a float64. Raises TensorFlow's own errors.

    lent: the numbers of inputs that stay float32 and become float64 where they are used.
    """
    graph = GraphDef()
    graph.CopyFrom(function.graph.as_graph_def())
    kept = [part for node in graph.node for part in _without_fused(node)]
    del graph.node[:]
    graph.node.extend(kept)
    for node in [*graph.node, *(node for f in graph.library.function for node in f.node_def)]:
        for value in node.attr.values():
            _widen(value)
        for called in attribute_functions(node):
            called.name = f"{called.name}_double"
    for inner in graph.library.function:
        inner.signature.name = f"{inner.signature.name}_double"
        for argument in (*inner.signature.input_arg, *inner.signature.output_arg):
            argument.type = DT_DOUBLE if argument.type == DT_FLOAT else argument.type
    fed_by = {tensor.op.name: tensor.shape for tensor in function.inputs}
    lend(graph, {name: shape for number, (name, shape) in enumerate(fed_by.items()) if number in lent}, set(fed_by))
    forget(graph)
    specs = [
        tf.TensorSpec(t.shape, tf.float64 if t.dtype == tf.float32 and number not in lent else t.dtype)
        for number, t in enumerate(function.inputs)
    ]
    fed, wanted = [t.name for t in function.inputs], [t.name for t in function.outputs]

    def imported(*tensors: tf.Tensor) -> list[tf.Tensor]:
        return tf.graph_util.import_graph_def(graph, dict(zip(fed, tensors, strict=True)), wanted, name="")

    return tf.compat.v1.wrap_function(imported, specs)


def forget(graph: GraphDef) -> None:
    """Makes TensorFlow forget functions of these names, of the same program when it was loaded before.

    It changes functions that it is given, and then finds that a new one of that name is another.
    """
    for function in graph.library.function:
        while context.context().has_function(function.signature.name):
            context.context().remove_function(function.signature.name)


def _widen(value: AttrValue) -> None:
    if value.type == DT_FLOAT:
        value.type = DT_DOUBLE
    for number, dtype in enumerate(value.list.type):
        value.list.type[number] = DT_DOUBLE if dtype == DT_FLOAT else dtype
    if value.HasField("tensor") and value.tensor.dtype == DT_FLOAT:
        value.tensor.CopyFrom(tf.make_tensor_proto(MakeNdarray(value.tensor).astype(np.float64)))


def _without_fused(node: NodeDef) -> Iterable[NodeDef]:
    """A batch normalization in inference, of images with their channels last, as arithmetic; others as they are."""
    inference = node.op in _NORMALIZATIONS and not node.attr["is_training"].b
    if not inference or node.attr["data_format"].s not in (b"NHWC", b""):
        return [node]
    x, scale, offset, mean, variance = node.input[:5]
    made = [NodeDef(name=f"{node.name}/epsilon", op="Const")]
    made[0].attr["dtype"].type = DT_FLOAT
    made[0].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32(node.attr["epsilon"].f)))

    def add(name: str, op: str, *inputs: str) -> str:
        made.append(NodeDef(name=name, op=op, input=inputs))
        made[-1].attr["T"].type = DT_FLOAT
        return name

    varied = add(f"{node.name}/varied", "AddV2", variance, made[0].name)
    factor = add(f"{node.name}/factor", "Mul", add(f"{node.name}/rsqrt", "Rsqrt", varied), scale)
    centered = add(f"{node.name}/centered", "Sub", x, mean)
    add(node.name, "AddV2", add(f"{node.name}/scaled", "Mul", centered, factor), offset)
    return made
