"""A traced model that has operators of its own between the layers, by way of tf2onnx."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import onnx
import tensorflow as tf
import tf2onnx
from keras.src.export.tf2onnx_lib import patch_tf2onnx
from tf2onnx.optimizer.identity_optimizer import IdentityOptimizer

from bridge.graph.body import OPSET
from bridge.keras_side.nodes import as_placeholder, as_where

logging.getLogger("tf2onnx").setLevel(logging.ERROR)


def operators_too(function: Any, specs: list[tf.TensorSpec]) -> onnx.ModelProto:
    """The function as tf2onnx writes it, layers' placeholders left as they are."""
    patch_tf2onnx()  # tf2onnx 1.17 does not know numpy 2
    with _quickly():
        handlers = {"PyFunc": (as_placeholder, []), "SelectV2": (as_where, [])}
        proto, _ = tf2onnx.convert.from_function(function, specs, opset=OPSET, custom_op_handlers=handlers)
    return proto


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """Two parts of tf2onnx, replaced by what does the same in a time that grows with the graph, not with its square."""
    plain = tf2onnx.optimizer.optimize_graph

    def optimized(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
        kept = copy.deepcopy(graph)  # one copy for all passes, where tf2onnx makes one for each
        try:
            return plain(graph, False, optimizers)
        except Exception:  # whatever a pass fails with: then with a copy for each, which leaves that pass out
            return plain(kept, True, optimizers)

    def removed(graph: Any, identity: Any) -> bool:
        graph.replace_all_inputs(identity.output[0], identity.input[0])  # its users alone, not all nodes
        graph.remove_node(identity.name)
        return True

    with (
        mock.patch.object(tf2onnx.optimizer, "optimize_graph", optimized),
        mock.patch.object(IdentityOptimizer, "_handle_non_graph_output_identity", staticmethod(removed)),
    ):
        yield
