"""Loops, conditions and functions of TensorFlow in a model's own code while it is traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.autograph.impl import api
from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function
from tensorflow.python.ops.control_flow_v2_func_graphs import CondBranchFuncGraph, WhileBodyFuncGraph, WhileCondFuncGraph

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
def functions_as_their_code() -> Iterator[None]:
    """Has each tf.function run as the code that it was made of: a traced one keeps variables and layers of its own."""

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        if not tf.inside_function():
            return plain(function, *args, **kwargs)
        code = function.python_function
        if function._autograph:
            status = ag_ctx.ControlStatusCtx(status=ag_ctx.Status.ENABLED, options=None)
            return api.tf_convert(code, status)(*args, **kwargs)
        return code(*args, **kwargs)

    plain = Function.__call__
    with mock.patch.object(Function, "__call__", call):
        yield
