"""Keras model -> layered graph.

While tf2onnx traces the model, every built-in layer that has a body is an opaque placeholder with its tensors and its
weights as inputs, so nothing in it can be folded, fused or dropped. What stands between such layers becomes standard
ONNX operators. All variables are inputs of the trace: a custom layer's weights stay visible too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras.src.export.tf2onnx_lib import patch_tf2onnx
from onnx import helper, numpy_helper
from tensorflow.python.framework.func_graph import FuncGraph

from bridge.errors import BridgeError
from bridge.graph import BODIES, Graph, Layer, Node, Value
from bridge.graph.body import DOMAIN, OPSET
from bridge.graph.fold import folded
from bridge.keras_side.names import Names, names
from bridge.keras_side.refusals import mask_reason, refuse, refuse_all_at_once

logging.getLogger("tf2onnx").setLevel(logging.ERROR)
SPLITS_ACTIVATION = ("Dense",)  # layers whose `activation` option becomes a node of its own
_PLACEHOLDER = "bridge_layer_"


class _Inference(int):
    """A training flag that is false, and can be told from a False that the model's own code passes."""


_INFERENCE = _Inference(0)


@dataclass
class _Call:
    """One call of a layer, met while tracing."""

    node: Node
    inputs: list[Value]  # of its tensors; only shape and dtype count
    output: Value


def trace(model: keras.Model, source: dict[str, Any] | None = None) -> Graph:
    """The layered graph of a built Keras model, with its weights.

    Raises BridgeError, listing every layer that can't be converted and why.
    """
    found = names(model)
    refuse_all_at_once(model, found)
    inputs, arguments = signature(model)
    tracer = _Tracer(model, found)
    variables = list(found.variables.values())
    weights = list(found.weights.values())
    specs = [tf.TensorSpec(v.shape, v.dtype, name=f"bridge_input_{i}") for i, v in enumerate(inputs)]
    specs += [tf.TensorSpec(v.shape, v.dtype, name=f"bridge_weight_{i}") for i, v in enumerate(variables)]
    output_names: list[str] = []

    def forward(*tensors: tf.Tensor) -> list[tf.Tensor]:
        given, values = tensors[: len(inputs)], tensors[len(inputs) :]
        tracer.values = {id(v): value for v, value in zip(variables, values, strict=True)}
        with tracer.intercepting(), keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            args, kwargs = arguments(list(given))
            outputs = model(*args, training=_INFERENCE, **kwargs)
        refuse(model, tracer.problems)
        named = named_outputs(model, outputs)
        output_names[:] = named
        tracer.masked = [name for name, t in named.items() if getattr(t, "_keras_mask", None) is not None]
        # tf2onnx needs each output to be a tensor of its own
        return [tf.identity(t, name=f"bridge_output_{i}") for i, t in enumerate(named.values())]

    patch_tf2onnx()  # tf2onnx 1.17 does not know numpy 2
    handlers = {"PyFunc": (_as_placeholder, [])}
    function = tf.function(forward, input_signature=specs, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, specs, opset=OPSET, custom_op_handlers=handlers)
    rename = {f"bridge_input_{i}": v.name for i, v in enumerate(inputs)}
    rename |= {f"bridge_weight_{i}": w.path for i, w in enumerate(weights)}
    graph = Graph(
        name=_model_name(model, source),
        inputs=inputs,
        outputs=[],
        nodes=[],
        weights={w.path: w for w in weights},
        arrays={path: np.asarray(variable.numpy()) for path, variable in found.variables.items()},
        keras_config=_config(model),
        source={"keras": keras.__version__, **(source or {}), "masked": tracer.masked},
    )
    _fill(graph, proto, tracer.calls, rename, output_names)
    return folded(graph)


class _Tracer:
    def __init__(self, model: keras.Model, found: Names):
        self.model, self.found = model, found
        self.calls: list[_Call] = []
        self.values: dict[int, tf.Tensor] = {}
        self.masked: list[str] = []
        self.problems: list[str] = []  # gathered: Keras would wrap an error that is raised within a call in its own
        self._count: dict[str, int] = {}

    @contextlib.contextmanager
    def intercepting(self) -> Iterator[None]:
        """Puts placeholders in the place of what the known layers compute; Keras does all the rest of a call."""
        plain = keras.Operation.__call__

        def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, keras.Layer) and is_known(operation):
                reason = self._reason(operation, args, kwargs)
                if not reason:
                    return self._layer(operation, args, kwargs)
                self.problems.append(f"{self._path(operation)} ({type(operation).__name__}): {reason}")
            result = plain(operation, *args, **kwargs)
            if isinstance(operation, keras.Layer) and operation.activity_regularizer is not None:
                path = self._path(operation)
                return keras.tree.map_structure(lambda t: self._penalized(operation, path, t), result)
            return result

        def scope(layer: keras.Layer) -> Any:
            return keras.src.backend.name_scope(re.sub(r"[^A-Za-z0-9_.]", "_", f"layer_{layer.name}"))

        with (
            mock.patch.object(keras.Operation, "__call__", call),
            # TensorFlow's graphs refuse names that Keras allows: "a b"
            mock.patch.object(keras.Layer, "_open_name_scope", scope),
            # Keras computes the penalty besides; L1 brings a tensor that no output needs, which stops tf2onnx
            mock.patch.object(keras.regularizers.L1, "__call__", lambda _, x: keras.ops.zeros((), x.dtype)),
            mock.patch.object(FuncGraph, "capture", _as_constant(FuncGraph.capture)),
        ):
            yield

    def _path(self, layer: keras.Layer) -> str:
        return self.found.layers.get(id(layer), layer.name)

    def _reason(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Why this call of a known layer can't be a node, if so."""
        if id(layer) not in self.found.layers:
            return "the model makes this layer anew in each call; make it once"
        tensors = [t for t in keras.tree.flatten((args, kwargs)) if tf.is_tensor(t)]
        if any(t.shape.rank is None for t in tensors):
            return "its input has no known rank, which the conversion needs"
        return mask_reason(layer, [kwargs.get("mask"), *(getattr(t, "_keras_mask", None) for t in tensors)])

    def _layer(self, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tf.Tensor:
        kind = type(layer).__name__
        path = self._path(layer)
        training = kwargs.pop("training", None)
        kwargs.pop("mask", None)  # _reason sees to the layers that would use it
        tensors = [t for t in keras.tree.flatten((args, kwargs)) if tf.is_tensor(t)]
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        own = [v for v in own if id(v) in self.found.weights]
        described = Layer(
            kind=kind,
            path=path,
            config=_plain(layer.get_config()),
            weights={v.name: self.found.weights[id(v)] for v in own},
            trainable=bool(layer.trainable),
        )
        fixed = None if training is None or isinstance(training, _Inference) else bool(training)
        activation = getattr(layer, "activation", None) if kind in SPLITS_ACTIVATION else None
        splits = activation is not None and activation is not keras.activations.linear
        penalized = layer.activity_regularizer is not None and kind != "ActivityRegularization"
        name = self._name(path)
        first = f"{name}/linear" if splits else f"{name}/value" if penalized else name
        spec = keras.tree.map_structure(_as_spec, (args, kwargs))
        out = layer.compute_output_spec(*spec[0], **spec[1])
        shape = _activated(layer.activation, out.shape) if kind == "Activation" else out.shape
        result = self._placeholder(described, first, tensors, own, shape, out.dtype, training=fixed)
        if splits:
            result = self._activate(layer, activation, f"{name}/value" if penalized else name, path, result)
        return self._penalized(layer, path, result, name) if penalized else result

    def _activate(self, layer: keras.Layer, activation: Any, name: str, path: str, x: tf.Tensor) -> tf.Tensor:
        if activation not in keras.src.activations.ALL_OBJECTS:
            return activation(x)  # a layer, or the user's own function: traced as what it is
        config = {"name": layer.name, "activation": keras.activations.serialize(activation)}
        shape = _activated(activation, tuple(x.shape))
        return self._placeholder(Layer("Activation", path, config), name, [x], [], shape, x.dtype.name, split=True)

    def _penalized(self, layer: keras.Layer, path: str, x: tf.Tensor, name: str | None = None) -> tf.Tensor:
        config = _plain(keras.regularizers.serialize(layer.activity_regularizer))
        described = Layer("ActivityRegularization", path, {"name": layer.name, "regularizer": config})
        name = name or self._name(f"{path}/penalized")
        return self._placeholder(described, name, [x], [], x.shape, x.dtype.name, split=True)

    def _placeholder(
        self,
        layer: Layer,
        name: str,
        tensors: list[tf.Tensor],
        own: list[Any],
        shape: Any,
        dtype: str,
        *,
        split: bool = False,
        training: bool | None = None,
    ) -> tf.Tensor:
        node = Node(name, layer.kind, [], [name], layer, training, {"split": True} if split else {})
        inputs = [Value("", tuple(t.shape), t.dtype.name) for t in tensors]
        number = len(self.calls)
        self.calls.append(_Call(node, inputs, Value(name, tuple(shape), dtype)))
        weights = [self.values[id(v)] for v in own]
        out = tf.numpy_function(
            lambda *_: np.zeros(()), [*tensors, *weights], tf.as_dtype(dtype), name=f"{_PLACEHOLDER}{number}"
        )
        return tf.ensure_shape(out, shape)

    def _name(self, path: str) -> str:
        self._count[path] = self._count.get(path, 0) + 1
        return path if self._count[path] == 1 else f"{path}#{self._count[path]}"


def _as_constant(plain: Any) -> Any:
    """FuncGraph.capture that makes a constant of a tensor which a layer holds, where TensorFlow makes an input of it."""

    def capture(graph: FuncGraph, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if not tf.is_tensor(tensor) or not hasattr(tensor, "numpy") or tensor.dtype in (tf.resource, tf.variant):
            return plain(graph, tensor, *args, **kwargs)
        with graph.as_default():
            return tf.constant(tensor.numpy())

    return capture


def is_known(layer: keras.Layer) -> bool:
    """Whether the layer is one of Keras's own (no subclass of one) and has a body."""
    return is_built_in(layer) and type(layer).__name__ in BODIES


def is_built_in(layer: keras.Layer) -> bool:
    return type(layer).__module__.startswith("keras.src.layers.")


def _activated(activation: Any, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape after an activation: glu halves the last axis, which Keras's own layers don't say."""
    halves = activation is keras.activations.glu and shape[-1] is not None
    return (*shape[:-1], shape[-1] // 2) if halves else shape


def _as_spec(value: Any) -> Any:
    return keras.KerasTensor(tuple(value.shape), dtype=value.dtype.name) if tf.is_tensor(value) else value


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """The config as JSON has it: tuples are lists, Keras's objects their own serialized form."""
    return json.loads(json.dumps(config, default=keras.saving.serialize_keras_object))


def _config(model: keras.Model) -> str | None:
    try:
        return model.to_json()
    except (NotImplementedError, TypeError, ValueError):  # a subclassed model that does not say how it was made
        return None


def _model_name(model: keras.Model, source: dict[str, Any] | None) -> str:
    """The model's own name, or the file's where Keras made the name up."""
    made_up = re.fullmatch(r"(sequential|functional|model)(_\d+)?", model.name)
    file = str((source or {}).get("file", "")).split(".")[0]
    return re.sub(r"\W", "_", file if made_up and file else model.name)


def signature(model: keras.Model) -> tuple[list[Value], Any]:
    """The model's inputs in their flat order, and how to arrange tensors for its call."""
    if isinstance(model, keras.Sequential | keras.src.models.Functional):
        inputs = [Value(t._keras_history.operation.name, (None, *t.shape[1:]), t.dtype) for t in model.inputs]
        functional = model._functional if isinstance(model, keras.Sequential) else model
        return inputs, lambda flat: ([keras.tree.pack_sequence_as(functional._inputs_struct, flat)], {})
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    flat = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
    if not flat or any(not _is_shape(s) for s in flat.values()):
        raise BridgeError(
            f"{model.name} ({type(model).__name__}): the shapes of its inputs are not known.\n"
            "Call the model once on an example (arrays, not lists of them) before the --arch function returns it."
        )
    inputs = [Value(name, (None, *shape[1:])) for name, shape in flat.items()]
    if len(flat) == 1:
        return inputs, lambda tensors: (tensors, {})
    return inputs, lambda tensors: ([tensors[0]], dict(zip(list(flat)[1:], tensors[1:], strict=True)))


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(size is None or isinstance(size, int) for size in value)


def named_outputs(model: keras.Model, outputs: Any) -> dict[str, tf.Tensor]:
    if isinstance(outputs, dict):
        named = {str(key): value for key, value in outputs.items()}
    else:
        flat = keras.tree.flatten(outputs)
        functional = model._functional if isinstance(model, keras.Sequential) else model
        own = list(getattr(functional, "output_names", None) or [])
        if len(own) != len(flat) or len(set(own)) != len(own):
            own = ["output"] if len(flat) == 1 else [f"output_{i}" for i in range(len(flat))]
        named = dict(zip(own, flat, strict=True))
    if any(not tf.is_tensor(value) for value in named.values()):
        raise BridgeError(f"{model.name}: its outputs are nested deeper than a list or a dict of tensors.")
    return named


def _as_placeholder(context: Any, node: Any, name: str, args: Any) -> Any:
    found = re.search(rf"{_PLACEHOLDER}(\d+)", name)
    if found is None:
        return node  # the user's own Python call: refused below as an operator that ONNX does not have
    node.domain, node.type = DOMAIN, f"{_PLACEHOLDER}{found[1]}"
    for attribute in list(node.attr):
        if attribute not in ("domain",):
            del node.attr[attribute]
    node.set_attr("call", int(found[1]))
    return node


def _fill(
    graph: Graph, proto: onnx.ModelProto, calls: list[_Call], rename: dict[str, str], output_names: list[str]
) -> None:
    """Turns tf2onnx's nodes into the graph's, under the names that people know."""
    for node in proto.graph.node:
        if node.domain == DOMAIN:
            rename[node.output[0]] = calls[_number(node)].node.name
    taken = {*rename.values()}
    for node, output in zip(_output_nodes(proto), output_names, strict=True):
        # an output is called what Keras calls it; its layer's own name stays the node's name
        current = rename.get(node, node)
        if current != output:
            rename = {key: f"{value}/inner" if value == output else value for key, value in rename.items()}
            rename[node] = output
    for node in proto.graph.node:
        for name in node.output:
            if name and name not in rename:
                rename[name] = _free_value(name, taken)
    constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for name in constants:
        rename.setdefault(name, _free_value(name, taken))
    graph.constants = {rename[name]: array for name, array in constants.items()}
    graph.values |= {value.name: value for value in graph.inputs}
    for node in proto.graph.node:
        inputs = [rename.get(name, name) for name in node.input]
        outputs = [rename[name] if name else "" for name in node.output]
        if node.domain == DOMAIN:
            call = calls[_number(node)]
            call.node.inputs, call.node.outputs = inputs, outputs
            for name, value in zip(call.node.tensors, call.inputs, strict=True):
                graph.values.setdefault(name, Value(name, value.shape, value.dtype))
            graph.values[outputs[0]] = Value(outputs[0], call.output.shape, call.output.dtype)
            graph.nodes.append(call.node)
        else:
            _refuse_unknown(node)
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            graph.nodes.append(Node(node.name, node.op_type, inputs, outputs, attributes=attributes))
    shapes = {info.name: info for info in proto.graph.output}
    for original, name in zip(shapes.values(), output_names, strict=True):
        tensor = original.type.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)
        known = graph.values.get(name)
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        graph.outputs.append(known or Value(name, shape, dtype))


def _number(node: onnx.NodeProto) -> int:
    return int(node.op_type.removeprefix(_PLACEHOLDER))


def _output_nodes(proto: onnx.ModelProto) -> list[str]:
    return [info.name for info in proto.graph.output]


def _free_value(name: str, taken: set[str]) -> str:
    name = re.sub(r"[^\w/.#]", "_", name.removesuffix(":0"))
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _refuse_unknown(node: onnx.NodeProto) -> None:
    if node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, max_inclusive_version=OPSET):
        for attribute in node.attribute:
            for inner in attribute.g.node:
                if inner.domain == DOMAIN:
                    raise BridgeError(f"{node.name}: a layer is called inside a loop or a condition, not possible yet.")
                _refuse_unknown(inner)
        return
    raise BridgeError(
        f"{node.name}: the TensorFlow operator {node.op_type} has no ONNX form.\n"
        "Rewrite that part of the model's own code with keras.ops, or leave it out of the model."
    )
