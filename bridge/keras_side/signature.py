"""What a Keras model takes and gives: the names, shapes and order of its inputs and outputs."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import Value


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
    inputs = {value.name for value in signature(model)[0]}
    if isinstance(outputs, dict):
        named = {str(key): value for key, value in outputs.items()}
    else:
        flat = keras.tree.flatten(outputs)
        functional = model._functional if isinstance(model, keras.Sequential) else model
        own = list(getattr(functional, "output_names", None) or [])
        if len(own) != len(flat) or len(set(own)) != len(own):
            own = ["output"] if len(flat) == 1 else [f"output_{i}" for i in range(len(flat))]
        named = dict(zip(own, flat, strict=True))
    named = {f"{name}/output" if name in inputs else name: value for name, value in named.items()}
    if any(not tf.is_tensor(value) for value in named.values()):
        raise BridgeError(f"{model.name}: its outputs are nested deeper than a list or a dict of tensors.")
    return named
