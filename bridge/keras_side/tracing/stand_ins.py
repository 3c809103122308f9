"""What stands in the place of functions of TensorFlow and Keras that ONNX can't say, while a model is traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import nn as tf_nn
from keras.src.backend.tensorflow import numpy as tf_numpy
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.autograph.impl import api
from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function
from tensorflow.python.framework.func_graph import FuncGraph
from tensorflow.python.ops import gen_image_ops

from bridge.keras_side.tracing import ctc, decompositions
from bridge.keras_side.tracing.control_flow import scan, scan_of_tensorflow, switch_case
from bridge.keras_side.tracing.crops import crops


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
        mock.patch.object(FuncGraph, "capture", _as_constant(FuncGraph.capture)),
        mock.patch.object(tf, "switch_case", switch_case),
        mock.patch.object(tf, "scan", scan_of_tensorflow),
        mock.patch.object(tf_numpy, "signbit", signbit),
        mock.patch.object(gen_image_ops, "crop_and_resize", crops(gen_image_ops.crop_and_resize)),
        decompositions.standing_in(),
        mock.patch.object(tf_nn, "ctc_decode", ctc.decoding(tf_nn.ctc_decode)),
        mock.patch.object(keras.src.backend.core, "scan", scan),
        mock.patch.object(keras.src.backend.core, "slice_update", slice_update),
    ):
        yield


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> tf.Tensor:
    """Keras's slice_update place by place."""
    inputs, updates = tf.convert_to_tensor(inputs), tf.convert_to_tensor(updates)
    starts = tf.unstack(tf.cast(start_indices, tf.int32), num=updates.shape.rank)
    sizes = tf.unstack(tf.shape(updates), num=updates.shape.rank)
    places = tf.meshgrid(*(tf.range(size) + start for size, start in zip(sizes, starts, strict=True)), indexing="ij")
    return tf.tensor_scatter_nd_update(inputs, tf.stack(places, -1), tf.cast(updates, inputs.dtype))


def signbit(x: tf.Tensor) -> tf.Tensor:
    """Keras's function of this name without a look at the bits, which ONNX can't take; argmax and argmin call it."""
    x = tf.convert_to_tensor(x)
    return tf.logical_or(x < 0, 1 / x < 0) if x.dtype.is_floating else x < 0


def _as_constant(plain: Any) -> Any:
    """FuncGraph.capture that makes a constant of a tensor that a layer holds; TensorFlow's makes it an input."""

    def capture(graph: FuncGraph, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if not tf.is_tensor(tensor) or not hasattr(tensor, "numpy") or tensor.dtype in (tf.resource, tf.variant):
            return plain(graph, tensor, *args, **kwargs)
        with graph.as_default():
            return tf.constant(tensor.numpy())

    return capture
