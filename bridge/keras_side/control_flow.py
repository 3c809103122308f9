"""Loops, conditions and functions of TensorFlow in a model's own code while it is traced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.autograph.impl import api
from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function
from tensorflow.python.ops.control_flow_v2_func_graphs import (
    CondBranchFuncGraph,
    WhileBodyFuncGraph,
    WhileCondFuncGraph,
)

from bridge.graph.layer import ACT_IN_TRAINING, dropout_of

_INNER = (CondBranchFuncGraph, WhileBodyFuncGraph, WhileCondFuncGraph)


def in_inner_graph() -> bool:
    """Whether what is traced now is the body of a loop or a branch of a condition."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        if isinstance(graph, _INNER):
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def repeated_reason(layer: keras.Layer, kwargs: dict[str, Any]) -> str | None:
    """Why a layer can't be called in a loop or a condition, if so.

    There it is traced operator by operator, which keeps what it computes and loses what it does in training besides.
    """
    where = "it is called inside a loop or a condition"
    each = [layer, *layer._flatten_layers(include_self=False)]
    acting = [kind for kind in (type(one).__name__ for one in each) if kind in ACT_IN_TRAINING]
    acts = acting or any(dropout_of(one.get_config()) for one in each if not isinstance(one, keras.Model))
    if acts and kwargs.get("training") is not False:
        return f"{where}, where it could not do in training what it does in Keras"
    if any(one.activity_regularizer is not None for one in each):
        return f"{where}, where its activity penalty would be lost"
    return None


@contextlib.contextmanager
def as_onnx_has_it() -> Iterator[None]:
    """Puts what tf2onnx can write in the place of what it can't.

    And each tf.function runs as the code that it was made of: a traced one keeps variables and layers of its own.
    """

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        if not tf.inside_function():
            return plain(function, *args, **kwargs)
        code = function.python_function
        if function._autograph:
            status = ag_ctx.ControlStatusCtx(status=ag_ctx.Status.ENABLED, options=None)
            return api.tf_convert(code, status)(*args, **kwargs)
        return code(*args, **kwargs)

    plain = Function.__call__
    with (
        mock.patch.object(Function, "__call__", call),
        mock.patch.object(tf, "switch_case", switch_case),
        mock.patch.object(keras.src.backend.core, "scan", scan),
        mock.patch.object(keras.src.backend.core, "slice_update", slice_update),
    ):
        yield


def switch_case(
    branch_index: Any, branch_fns: Any, default: Callable[[], Any] | None = None, name: str = "switch_case"
) -> Any:
    """tf.switch_case as conditions within conditions, which ONNX has: the last or the default where none fits."""
    numbered = sorted(branch_fns.items()) if isinstance(branch_fns, dict) else list(enumerate(branch_fns))
    numbered = [item if isinstance(item, tuple) else (i, item) for i, item in numbered]
    if default is None:
        *numbered, (_, default) = numbered

    def chosen(left: list[tuple[int, Callable[[], Any]]]) -> Any:
        if not left:
            return default()
        (number, branch), *others = left
        return tf.cond(tf.equal(branch_index, number), branch, lambda: chosen(others), name=name)

    return chosen(numbered)


def scan(
    f: Callable[..., Any], init: Any, xs: Any = None, length: Any = None, reverse: bool = False, unroll: Any = 1
) -> Any:
    """Keras's scan with the carry as the loop's state, where its own keeps it in an array that ONNX can't say."""
    flat = [tf.convert_to_tensor(x) for x in keras.tree.flatten(xs)] if xs is not None else []
    count = length if length is not None else tf.shape(flat[0])[0]
    if reverse:  # arrays are written in the order of the steps
        flat = [tf.reverse(x[:count], [0]) for x in flat]
    carry = [tf.convert_to_tensor(c) for c in keras.tree.flatten(init)]
    left = [tf.TensorArray(c.dtype, size=count, element_shape=c.shape) for c in carry]

    def packed(structure: Any, values: list[Any]) -> Any:
        return keras.tree.pack_sequence_as(structure, values) if keras.tree.is_nested(structure) else values[0]

    wrote = []

    def body(i: tf.Tensor, carry: list[tf.Tensor], left: list[tf.TensorArray]) -> Any:
        slices = packed(xs, [tf.gather(x, i) for x in flat]) if flat else None
        new, made = f(packed(init, carry), slices)
        wrote.append(made is not None)
        if made is not None:
            left = [array.write(i, y) for array, y in zip(left, keras.tree.flatten(made), strict=True)]
        return i + 1, keras.tree.flatten(new) if new is not None else carry, left

    _, last, left = tf.while_loop(lambda i, _, __: i < count, body, (0, carry, left))
    if not any(wrote):
        rows = [tf.zeros([count, *tf.unstack(tf.shape(c))], c.dtype) for c in carry]
    else:
        rows = [tf.reverse(array.stack(), [0]) if reverse else array.stack() for array in left]
    for row, start in zip(rows, carry, strict=True):
        row.set_shape([flat[0].shape[0] if flat else length, *start.shape])
    return packed(init, last), packed(init, rows)


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> tf.Tensor:
    """Keras's slice_update place by place."""
    inputs, updates = tf.convert_to_tensor(inputs), tf.convert_to_tensor(updates)
    starts = tf.unstack(tf.cast(start_indices, tf.int32), num=updates.shape.rank)
    sizes = tf.unstack(tf.shape(updates), num=updates.shape.rank)
    places = tf.meshgrid(*(tf.range(size) + start for size, start in zip(sizes, starts, strict=True)), indexing="ij")
    return tf.tensor_scatter_nd_update(inputs, tf.stack(places, -1), tf.cast(updates, inputs.dtype))
