"""A traced model that is made of layers alone, without the long way through tf2onnx: many times as fast."""

from __future__ import annotations

import numpy as np
import onnx
import tensorflow as tf
from onnx import helper

from bridge.graph.body import DOMAIN
from bridge.keras_side.tracing.nodes import PLACEHOLDER, placeholder_number

_PASS_ON = ("Identity", "EnsureShape")


def layers_alone(function: tf.types.experimental.ConcreteFunction, inputs: list[str]) -> onnx.ModelProto | None:
    """What tf2onnx would make of the function, or None where it has more in it than layers' placeholders.

    inputs: the names of what the function takes, in order; its outputs are called bridge_output_0, 1, ...
    """
    if len(function.inputs) != len(inputs):
        return None
    names = {t.ref(): name for t, name in zip(function.inputs, inputs, strict=True)}
    sources = [_source(t) for t in function.outputs]
    makers: dict[str, tf.Operation] = {}
    waiting = [t.op for t in sources if t.ref() not in names]
    while waiting:
        operation = waiting.pop()
        if operation.name in makers:
            continue
        if operation.type != "PyFunc" or placeholder_number(operation.name) is None:
            return None
        makers[operation.name] = operation
        waiting += [t.op for t in map(_source, operation.inputs) if t.ref() not in names]
    passed_on = []
    for number, tensor in enumerate(sources):
        output = f"bridge_output_{number}"
        if tensor.ref() in names:  # an input, or the same as another output
            passed_on.append(helper.make_node("Identity", [names[tensor.ref()]], [output], output))
        names.setdefault(tensor.ref(), output)
    nodes = [_node(operation, names) for operation in makers.values()]
    infos = [
        helper.make_tensor_value_info(f"bridge_output_{i}", _element(t.dtype), s)
        for i, t in enumerate(function.outputs)
        for s in [None if t.shape.rank is None else list(t.shape)]
    ]
    return helper.make_model(helper.make_graph([*nodes, *passed_on], "layers", [], infos))


def _element(dtype: tf.DType) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype.as_numpy_dtype))


def _source(tensor: tf.Tensor) -> tf.Tensor:
    """What a tensor is, behind operations that only hand it on."""
    while tensor.op.type in _PASS_ON:
        tensor = tensor.op.inputs[0]
    return tensor


def _node(operation: tf.Operation, names: dict[object, str]) -> onnx.NodeProto:
    inputs = [names.setdefault(t.ref(), t.name) for t in map(_source, operation.inputs)]
    outputs = [names.setdefault(t.ref(), t.name) for t in operation.outputs]
    kind = f"{PLACEHOLDER}{placeholder_number(operation.name)}"
    return helper.make_node(kind, inputs, outputs, operation.name, domain=DOMAIN)
