"""Which inputs a model can be computed for, and how large its tensors are on them, told by TensorFlow's shapes before
anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import Graph, Value
from bridge.graph.probe import ANY, LONGER, MOST_BYTES, probe_rows, refuse_huge, too_large
from bridge.keras_side.building.architecture import said
from bridge.keras_side.saved_model.model import Operators
from bridge.keras_side.signature import named_outputs, signature

# Layers within which tensors may be far larger than what goes in and comes out
_INSIDE = ("SeparableConv1D", "SeparableConv2D", "MelSpectrogram", "STFTSpectrogram")
_ATTENTION = ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention")
_SUSPECT = MOST_BYTES >> 6
_NOTHING_NEW = ("Placeholder", "PyFunc", "EnsureShape", "Identity")  # what is given, and the nodes of layers in a trace


def choose_probe(model: keras.Model, graph: Graph) -> None:
    """Finds a length for the axes of unknown length at which the model can be computed, and notes it in the graph.

    Where the graph doesn't tell all tensors, for such an axis or for what a layer makes within itself, the model is
    traced once more for just these inputs. Raises BridgeError if no length will do, or if a tensor would take over
    2 GiB.
    """
    first: BridgeError | None = None
    for length in (ANY, *LONGER) if any(None in (value.shape or ())[1:] for value in graph.inputs) else (ANY,):
        graph.source["unknown"] = length
        rows = probe_rows(graph)
        refuse_huge(graph, rows)
        try:
            if isinstance(model, Operators):
                refuse_huge_program(model, rows, length)
            elif _hides(graph):
                refuse_huge_operations(graph.name, _of_model(model, rows, length), graph.weight_bytes)
            break
        except _Unfit as error:
            first = first or error
    else:
        assert first is not None
        raise first
    if graph.source["unknown"] == ANY:
        del graph.source["unknown"]


class _Unfit(BridgeError):
    """Inputs that a model can't be computed for."""


def refuse_huge_program(model: Operators, rows: int = 1, length: int | None = None) -> None:
    """Raises BridgeError if a tensor of a SavedModel's program would take over 2 GiB, constants that it makes included.

    length: of axes of unknown length; None: where it doesn't fit, the program is left to a later look.
    """
    variables = model.program.variables.values()
    weight_bytes = sum(4 * math.prod(variable.shape) for variable in variables)
    try:
        operations = _of_program(model, signature(model)[0], rows, length or ANY)
    except _Unfit:
        if length is None:
            return
        raise
    refuse_huge_operations(model.name, operations, weight_bytes)


def refuse_huge_operations(
    name: str, operations: Iterable[tf.Operation], weight_bytes: int, called: Callable[[str], str] = str
) -> None:
    """The same of TensorFlow's operations as far as their shapes are known, of one row where its number is not.

    called: what users call an operation, by its name.
    """
    most = max(MOST_BYTES, weight_bytes)  # what a weight becomes on the way is as large as it is
    for operation in operations:
        for tensor in operation.outputs if operation.type not in _NOTHING_NEW else ():
            if tensor.shape.rank is None or None in tensor.shape.as_list()[1:] or tensor.dtype == tf.resource:
                continue
            shape = [size or 1 for size in tensor.shape.as_list()]
            if (size := math.prod(shape) * tensor.dtype.size) > most:
                raise too_large(name, f"{called(operation.name)} ({operation.type})", shape, size)


def _hides(graph: Graph) -> bool:
    """Whether some of its tensors may be larger than the graph tells."""
    if any(value.shape is None or None in value.shape[1:] for value in graph.values.values()):
        return True
    return any(
        node.kind in _INSIDE or (node.kind in _ATTENTION and _scores(graph, node.tensors)) for node in graph.nodes
    )


def _scores(graph: Graph, taken: list[str]) -> bool:
    """Whether each place of one input by each of another may be many, with all features at both."""
    shapes = [graph.values[name].shape or () for name in taken]
    lengths = sorted(math.prod(size or ANY for size in shape[1:-1]) for shape in shapes)
    widths = [shape[-1] or ANY for shape in shapes if shape]
    return math.prod(lengths[-2:]) * max(widths, default=1) > _SUSPECT


def _of_model(model: keras.Model, rows: int, length: int) -> list[tf.Operation]:
    inputs, arrange = signature(model)
    specs = _specs(inputs, rows, length)

    def called(*tensors: tf.Tensor) -> list[Any]:
        args, kwargs = arrange(list(tensors))
        return list(named_outputs(model, model(*args, training=False, **kwargs)).values())

    try:
        traced = tf.function(called, autograph=False).get_concrete_function(*specs)
    except Exception as error:  # TensorFlow and a model's own code may fail with anything, and so would the run
        raise _unfit(model, inputs, specs, error) from error
    return list(traced.graph.get_operations())


def _of_program(model: Operators, inputs: list[Value], rows: int, length: int) -> list[tf.Operation]:
    function = model.program.function
    specs = [
        *_specs(inputs, rows, length),
        *(tf.TensorSpec(v.shape, v.dtype) for v in model.program.variables.values()),
    ]
    with tf.Graph().as_default() as found:
        given = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs]
        names = [tensor.name for tensor in function.inputs]
        try:
            tf.graph_util.import_graph_def(function.graph.as_graph_def(), dict(zip(names, given, strict=True)), name="")
        except ValueError as error:  # shapes that don't fit these rows
            raise _unfit(model, inputs, specs, error) from error
        return list(found.get_operations())


def _unfit(model: keras.Model, inputs: list[Value], specs: list[tf.TensorSpec], error: Exception) -> _Unfit:
    shapes = ", ".join(f"{value.name} {tuple(spec.shape)}" for value, spec in zip(inputs, specs, strict=False))
    tried = way = ""
    if any(None in (value.shape or ())[1:] for value in inputs):
        tried = f" (nor for {', '.join(map(str, LONGER))} where a length is unknown)"
        way = "\nBuild it for inputs of a length that it takes, by code of yours: --arch FILE.py:function."
    return _Unfit(f"{model.name}: Keras can't compute it for inputs of {shapes}{tried}: {said(error)[:300]}{way}")


def _specs(inputs: Iterable[Value], rows: int, length: int) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec((rows, *(length if size is None else size for size in (value.shape or (None,))[1:])), value.dtype)
        for value in inputs
    ]
