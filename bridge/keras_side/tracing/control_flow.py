"""Loops and conditions in a model's own code while it is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops.control_flow_v2_func_graphs import (
    CondBranchFuncGraph,
    WhileBodyFuncGraph,
    WhileCondFuncGraph,
)

from bridge.graph.layer import ACT_IN_TRAINING, dropout_of

_INNER = (CondBranchFuncGraph, WhileBodyFuncGraph, WhileCondFuncGraph)


def in_inner_graph() -> bool:
    """Whether what is traced now is the body of a loop or a branch of a condition."""
    return any(isinstance(graph, _INNER) for graph in _graphs())


def in_loop_condition() -> bool:
    """Whether what is traced now says whether a loop goes on: ONNX has it twice, before the loop and in its body."""
    return any(isinstance(graph, WhileCondFuncGraph) for graph in _graphs())


def is_reachable(tensor: tf.Tensor) -> bool:
    """Whether what is traced now may use the tensor: it was made here or outside, not in a loop that has ended."""
    return any(tensor.graph is graph for graph in _graphs())


def _graphs() -> Iterator[tf.Graph]:
    """What is traced now, and what it is in, outwards."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)


def penalty_reason(layer: keras.Layer) -> str | None:
    """Why a layer can't be called in a loop or a condition, whatever it is there, if so."""
    if any(one.activity_regularizer is not None for one in [layer, *layer._flatten_layers(include_self=False)]):
        return "it is called inside a loop or a condition, where its activity penalty would be lost"
    return None


def operators_reason(layer: keras.Layer, kwargs: dict[str, Any]) -> str | None:
    """Why a layer can't be operators in the place of a node, if so: they keep what it computes in inference alone."""
    each = [layer, *layer._flatten_layers(include_self=False)]
    acting = [kind for kind in (type(one).__name__ for one in each) if kind in ACT_IN_TRAINING]
    acts = acting or any(dropout_of(one.get_config()) for one in each if not isinstance(one, keras.Model))
    if acts and kwargs.get("training") is not False:
        return "it could not do in training what it does in Keras"
    return None


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


def scan_of_tensorflow(
    fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, reverse: bool = False, **_: Any
) -> Any:
    """tf.scan by the scan above: TensorFlow writes its first result into an array before the loop."""
    elems = tf.nest.map_structure(tf.convert_to_tensor, elems)

    def step(carry: Any, now: Any) -> Any:
        made = fn(carry, now)
        return made, made

    if initializer is not None:
        return scan(step, initializer, elems, reverse=reverse)[1]
    first = tf.nest.map_structure(lambda x: x[-1 if reverse else 0], elems)
    rows = scan(step, first, tf.nest.map_structure(lambda x: x[:-1] if reverse else x[1:], elems), reverse=reverse)[1]

    def joined(start: tf.Tensor, rest: tf.Tensor) -> tf.Tensor:
        return tf.concat([rest, start[None]] if reverse else [start[None], rest], 0)

    return tf.nest.map_structure(joined, first, rows)
