"""Graphs that TensorFlow optimizes without zeros for each of their large inputs, as it makes for placeholders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import tensorflow as tf
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.python.grappler import tf_optimizer

from bridge.graph import stored


@contextmanager
def large_inputs_unfed() -> Iterator[None]:
    """While this lasts, large placeholders are constants of unknown content for TensorFlow's optimizer: of the same
    type and shape, and in no memory."""
    plain = tf_optimizer.OptimizeGraph

    def optimized(config: Any, meta_graph: Any, *rest: Any, **named: Any) -> Any:
        kept: dict[str, NodeDef] = {}
        for node in meta_graph.graph_def.node:
            if node.op == "Placeholder" and _nbytes(node) > stored.LARGE:
                kept[node.name] = NodeDef()
                kept[node.name].CopyFrom(node)
                node.CopyFrom(_unknown(node))
        meta_graph.collection_def["train_op"].node_list.value.extend(kept)  # what is asked for is left as it is
        graph = plain(config, meta_graph, *rest, **named)
        for node in graph.node:
            if node.name in kept:
                node.CopyFrom(kept[node.name])
        return graph

    with mock.patch.object(tf_optimizer, "OptimizeGraph", optimized):
        yield


def _unknown(node: NodeDef) -> NodeDef:
    made = NodeDef(name=node.name, op="ImmutableConst")
    for key in ("dtype", "shape"):
        made.attr[key].CopyFrom(node.attr[key])
    made.attr["memory_region_name"].s = node.name.encode()  # no two are the same
    return made


def _nbytes(node: NodeDef) -> int:
    shape = tf.TensorShape(node.attr["shape"].shape)
    dtype = tf.as_dtype(node.attr["dtype"].type)
    return math.prod(shape.as_list()) * dtype.size if shape.is_fully_defined() and dtype != tf.string else 0
