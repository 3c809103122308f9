"""TensorFlow's functions and operators between the layers of Keras 2, as layers of Keras 3: those of a list alone."""

from __future__ import annotations

import functools
import json
from typing import Any

import keras
import tensorflow as tf
from google.protobuf import json_format, text_format
from keras.src.legacy import backend as old_backend
from tensorflow.python.framework import op_def_registry

from bridge.keras_side.old.dialect.operations import FUNCTIONS, RAW

_own = keras.saving.register_keras_serializable(package="bridge")


@_own
class TFOpLambda(keras.layers.Layer):
    """One of TensorFlow's functions.

    arguments: its first argument and its keywords, with {"tensor": 0} for the first tensor of the call, and so on.
    """

    def __init__(self, function: str, arguments: list[Any], **options: Any):
        super().__init__(**{**options, "autocast": False})
        if function not in FUNCTIONS:
            raise ValueError(f"{function!r} is not one of the functions that bridge knows")
        self.function = function
        self._arguments = json.dumps(arguments)  # a list would be tracked, and its dicts changed
        self.built = True

    def call(self, tensors: Any) -> Any:
        first, keywords = (_given(value, tensors) for value in json.loads(self._arguments))
        if self.function.startswith("__operators__.") and not tf.is_tensor(first):  # 1.0 - x
            first = tf.convert_to_tensor(first, tensors[0].dtype)
        return _function(self.function)(first, **keywords)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function, "arguments": json.loads(self._arguments)}


def _function(name: str) -> Any:
    """What is called so in TensorFlow, or in Keras as it was within it."""
    if name.startswith("keras.backend."):
        return getattr(old_backend, name.rpartition(".")[2])
    place: Any = keras if name.startswith("keras.") else tf
    return functools.reduce(getattr, name.removeprefix("keras.").split("."), place)


def _given(value: Any, tensors: Any) -> Any:
    """An argument with the tensors in their places; slices and ... as Python has them."""
    if isinstance(value, list):
        return [_given(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"tensor"}:
        return tensors[value["tensor"]]
    if value.get("class_name") == "__ellipsis__":
        return Ellipsis
    inner = {key: _given(item, tensors) for key, item in value.items()}
    return slice(inner["start"], inner["stop"], inner["step"]) if set(inner) == {"start", "stop", "step"} else inner


@_own
class TensorFlowOpLayer(keras.layers.Layer):
    """One of TensorFlow's operators, with the attributes of a node and some inputs constant."""

    def __init__(self, node_def: str, constants: dict[str, Any] | None = None, **options: Any):
        super().__init__(**{**options, "autocast": False})
        if (operator := _node(node_def).op) not in RAW:
            raise ValueError(f"{operator!r} is not one of the operators that bridge knows")
        self.node_def, self.constants = node_def, dict(constants or {})
        self.built = True

    def call(self, inputs: Any) -> Any:
        node = _node(self.node_def)
        definition = op_def_registry.get(node.op)
        given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        for place, value in sorted((int(i), v) for i, v in self.constants.items()):
            given.insert(place, value)
        return getattr(tf.raw_ops, node.op)(**_arguments(node, definition, given))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "node_def": self.node_def, "constants": self.constants}


def _node(text: str) -> Any:
    """A TensorFlow node of JSON or protobuf's text form. Raises ValueError for what is neither."""
    node = tf.compat.v1.NodeDef()
    try:
        json_format.Parse(text, node) if text.lstrip().startswith("{") else text_format.Parse(text, node)
    except (json_format.ParseError, text_format.ParseError) as error:
        raise ValueError(f"no node of TensorFlow: {error}") from None
    return node


def _arguments(node: Any, definition: Any, given: list[Any]) -> dict[str, Any]:
    """An operator's inputs by their names and its other attributes, those that follow from the inputs left out."""
    inferred = {name for arg in definition.input_arg for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
    types = {arg.name: node.attr[arg.type_attr].type if arg.type_attr else arg.type for arg in definition.input_arg}
    found: dict[str, Any] = {}
    for arg in definition.input_arg:
        count = node.attr[arg.number_attr].i if arg.number_attr else None
        taken, given = given[: count or 1], given[count or 1 :]
        tensors = [tf.convert_to_tensor(value, tf.as_dtype(types[arg.name])) for value in taken]
        found[arg.name] = tensors if count else tensors[0]
    for attribute in definition.attr:
        if attribute.name not in inferred and attribute.name in node.attr:
            found[attribute.name] = _attribute(node.attr[attribute.name])
    return found


def _attribute(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "type":
        return tf.as_dtype(value.type)
    if kind == "shape":
        return tf.TensorShape(value.shape)
    if kind == "list":
        return list(value.list.i or value.list.f or value.list.s or value.list.b)
    found = getattr(value, kind)
    return found.decode() if isinstance(found, bytes) else found
