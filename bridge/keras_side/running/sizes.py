"""How large a model's tensors are on the rows of a probe, told by TensorFlow's shapes before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import Graph, Value
from bridge.graph.probe import ANY, MOST_BYTES, refuse_huge, too_large
from bridge.keras_side.building.architecture import said
from bridge.keras_side.saved_model.model import Operators
from bridge.keras_side.signature import named_outputs, signature

# Layers within which tensors may be far larger than what goes in and comes out
_INSIDE = ("SeparableConv1D", "SeparableConv2D", "MelSpectrogram", "STFTSpectrogram")
_ATTENTION = ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention")
_SUSPECT = MOST_BYTES >> 6
_NOTHING_NEW = ("Placeholder", "PyFunc", "EnsureShape", "Identity")  # what is given, and the nodes of layers in a trace


def refuse_huge_tensors(model: keras.Model, graph: Graph, rows: int) -> None:
    """Raises BridgeError if a tensor of the model would take over 2 GiB for so many rows of a probe.

    Where the graph doesn't tell all of them, an unknown length or what a layer makes within itself, the model is traced
    once more for just these inputs.
    """
    refuse_huge(graph, rows)
    if isinstance(model, Operators):
        refuse_huge_program(model, rows)
    elif _hides(graph):
        refuse_huge_operations(graph.name, _of_model(model, rows), graph.weight_bytes)


def refuse_huge_program(model: Operators, rows: int = 1) -> None:
    """The same of a SavedModel's program, constants that it makes included."""
    variables = model.program.variables.values()
    weight_bytes = sum(4 * math.prod(variable.shape) for variable in variables)
    refuse_huge_operations(model.name, _of_program(model, signature(model)[0], rows), weight_bytes)


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


def _of_model(model: keras.Model, rows: int) -> list[tf.Operation]:
    inputs, arrange = signature(model)
    specs = _specs(inputs, rows)

    def called(*tensors: tf.Tensor) -> list[Any]:
        args, kwargs = arrange(list(tensors))
        return list(named_outputs(model, model(*args, training=False, **kwargs)).values())

    try:
        traced = tf.function(called, autograph=False).get_concrete_function(*specs)
    except Exception as error:  # TensorFlow and a model's own code may fail with anything, and so would the run
        shapes = ", ".join(f"{value.name} {tuple(spec.shape)}" for value, spec in zip(inputs, specs, strict=True))
        raise BridgeError(
            f"{model.name}: Keras can't compute it for inputs of {shapes}: {said(error)[:300]}"
        ) from error
    return list(traced.graph.get_operations())


def _of_program(model: Operators, inputs: Iterable[Value], rows: int) -> list[tf.Operation]:
    function = model.program.function
    specs = [*_specs(inputs, rows), *(tf.TensorSpec(v.shape, v.dtype) for v in model.program.variables.values())]
    with tf.Graph().as_default() as found:
        given = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs]
        names = [tensor.name for tensor in function.inputs]
        try:
            tf.graph_util.import_graph_def(function.graph.as_graph_def(), dict(zip(names, given, strict=True)), name="")
        except ValueError:  # shapes that don't fit these rows: the run says so
            return []
        return list(found.get_operations())


def _specs(inputs: Iterable[Value], rows: int) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec((rows, *(ANY if size is None else size for size in (value.shape or (None,))[1:])), value.dtype)
        for value in inputs
    ]
