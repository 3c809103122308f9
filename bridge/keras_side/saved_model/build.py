"""The model of one signature: its part of the program checked, rewritten, and given to TensorFlow as a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from bridge.errors import BridgeError
from bridge.graph import Value
from bridge.graph.probe import ANY, probe_inputs, relative_difference
from bridge.keras_side.running.sizes import refuse_huge_program
from bridge.keras_side.saved_model import double, needed, rewrite
from bridge.keras_side.saved_model.checkpoint import Checkpoint
from bridge.keras_side.saved_model.model import FAILURES, Operators, Traced
from bridge.keras_side.saved_model.objects import Objects, Variable
from bridge.keras_side.saved_model.program import Program
from bridge.keras_side.tracing.unfed import large_inputs_unfed


def operators(
    program: Program, checkpoint: Checkpoint, objects: Objects, name: str | None = None, *, unsafe: bool = False
) -> tuple[Operators, dict[str, Variable]]:
    """The model of a signature, and the variable that each of its weights is, by the weight's path.

    Raises BridgeError for operators that are not allowed, before TensorFlow is given any of them.
    """
    word, signature = program.signature(name)
    if not unsafe:
        program.refuse_operators()
    feeds, results = _named(program, word, signature.inputs), _named(program, word, signature.outputs)
    if not feeds:
        others = ", ".join(each for each in program.signatures if each != word)
        way = f"Pass --signature with another one: {others}." if others else "Save it with one that takes tensors."
        raise BridgeError(f"{program.name}: the signature {word!r} takes no input, so it is no network.\n{way}")
    nodes, called = needed.used(program, results.values(), feeds.values())
    if not unsafe:
        needed.refuse_operators(program, nodes, called, word)
    graph = rewrite.values(program, nodes, [n.split(":")[0] for n in feeds.values()], results.values())
    variables = {handle.name: objects.of_handle(handle) for handle in _handles(program, graph, nodes, feeds)}
    handles = sorted(variables, key=lambda name: variables[name].number)
    for variable in variables.values():
        if variable.stored.dtype == "string":
            raise BridgeError(
                f"{program.name}: its variable {variable.name} holds text, which no layer of torch takes."
            )
    inputs = {word: _spec(program, word, signature.inputs[word]) for word in feeds}
    function = _function(program, graph, inputs, feeds, handles, variables, results)
    outputs = {word: _free(signature.outputs[word]) for word in results}
    traced = Traced(function, inputs, outputs, needed.own_gradients(program, nodes, called))
    model = Operators(program.name.rstrip("/").rpartition("/")[2], traced)
    called_by = objects.names(list(variables.values()))
    found: dict[str, Variable] = {}
    for handle in handles:
        variable = variables[handle]
        path = called_by[variable.stored.key]
        options = {"trainable": variable.trainable, "name": path.rpartition("/")[2]}
        # of a tensor that nobody else has it takes the memory, too
        model.add(path, keras.Variable(checkpoint.tensor(variable.stored.key), dtype=variable.stored.dtype, **options))
        found[path] = variable
    model.say_inputs()
    refuse_huge_program(model)
    _refuse_fixed_batch(program, traced, signature)
    return model, found


def _named(program: Program, signature: str, values: Any) -> dict[str, str]:
    """The names of a signature's tensors in the graph, by its own words for them."""
    for word in values:
        if values[word].WhichOneof("encoding") != "name":
            raise BridgeError(
                f"{program.name}: {word} of the signature {signature!r} is sparse or ragged; only plain tensors."
            )
    return {word: values[word].name for word in sorted(values)}


def _handles(program: Program, graph: GraphDef, nodes: list[NodeDef], feeds: dict[str, str]) -> list[NodeDef]:
    """The nodes of the variables that the rewritten graph takes."""
    fed = {name.split(":")[0] for name in feeds.values()}
    taken = {node.name for node in graph.node if node.op in ("Placeholder", "PlaceholderV2")} - fed
    place = {node.name: number for number, node in enumerate(program.graph.graph_def.node)}
    handles = [node for node in nodes if node.name in taken and node.op in rewrite.HANDLES]
    handles.sort(key=lambda node: place[node.name])
    if spare := sorted(taken - {node.name for node in handles}):
        raise BridgeError(f"{program.name}: also needs the input {spare[0]!r}, which its signature does not have.")
    return handles


def _function(
    program: Program,
    graph: GraphDef,
    inputs: dict[str, tf.TensorSpec],
    feeds: dict[str, str],
    handles: list[str],
    variables: dict[str, Variable],
    results: dict[str, str],
) -> Callable[..., list[tf.Tensor]]:
    specs = [tf.TensorSpec(s.shape, s.dtype, name=f"bridge_fed_{i}") for i, s in enumerate(inputs.values())]
    stored = [variables[handle].stored for handle in handles]
    specs += [tf.TensorSpec(s.shape, s.dtype, name=f"bridge_held_{i}") for i, s in enumerate(stored)]
    taken = [*(_whole(name) for name in feeds.values()), *(f"{handle}:0" for handle in handles)]
    wanted = [_whole(name) for name in results.values()]

    double.forget(graph)

    def imported(*tensors: tf.Tensor) -> list[tf.Tensor]:
        mapped = dict(zip(taken, tensors, strict=True))
        found = tf.graph_util.import_graph_def(graph, mapped, wanted, name="")
        return [tf.identity(mapped.get(name, tensor)) for name, tensor in zip(wanted, found, strict=True)]

    try:
        wrapped = tf.compat.v1.wrap_function(imported, specs)
        with large_inputs_unfed():
            return convert_variables_to_constants_v2(wrapped, lower_control_flow=False, aggressive_inlining=True)
    except FAILURES as error:
        said = " ".join(str(error).split())[:300]
        raise BridgeError(f"{program.name}: TensorFlow can't read its program: {said}") from error


def _spec(program: Program, word: str, info: TensorInfo) -> tf.TensorSpec:
    """What an input is, for any number of rows."""
    dtype = tf.as_dtype(info.dtype)
    if dtype == tf.string:
        raise BridgeError(f"{program.name}: its input {word} is text, which ONNX models here don't take.")
    if info.tensor_shape.unknown_rank or not info.tensor_shape.dim:
        what = "of any rank" if info.tensor_shape.unknown_rank else "a single number"
        raise BridgeError(f"{program.name}: its input {word} is {what}; a batch of rows is needed, of known rank.")
    return tf.TensorSpec(_free(info), dtype, name=word)


def _free(info: TensorInfo) -> tf.TensorShape:
    """The shape of an input or output with the first axis left open."""
    if info.tensor_shape.unknown_rank:
        return tf.TensorShape(None)
    sizes = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
    return tf.TensorShape([None, *sizes[1:]] if sizes else [])


def _refuse_fixed_batch(program: Program, traced: Traced, signature: SignatureDef) -> None:
    """A program that was written for a fixed number of rows must do the same to any, each row by itself."""
    fixed = {info.tensor_shape.dim[0].size for info in signature.inputs.values()} - {-1}
    if not fixed:
        return
    rows = fixed.pop()
    shapes = {w: (3 * rows, *(ANY if n is None else n for n in s.shape[1:])) for w, s in traced.inputs.items()}
    values = [Value(w, shape, traced.inputs[w].dtype.name) for w, shape in shapes.items()]
    whole = probe_inputs(values, rows=3 * rows)
    try:
        together = traced(whole)
        apart = [traced({w: x[n * rows : (n + 1) * rows] for w, x in whole.items()}) for n in range(3)]
        joined = {w: np.concatenate([part[w] for part in apart]) for w in together}
        same = all(relative_difference(np.asarray(together[w]), joined[w]) < 1e-4 for w in together)
    except FAILURES:
        same = False
    if fixed or rows < 1 or not same:
        raise BridgeError(
            f"{program.name}: its program takes {rows} rows at a time, no other number.\n"
            "Export it with a signature whose first axis is None."
        )


def _whole(name: str) -> str:
    return name if ":" in name else f"{name}:0"
