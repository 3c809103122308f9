"""What a Keras model takes and gives: the names, shapes and order of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import Value
from bridge.keras_side.examples import example


def signature(model: keras.Model) -> tuple[list[Value], Any]:
    """The model's inputs in their flat order, and how to arrange tensors for its call."""
    if isinstance(model, keras.Sequential | keras.src.models.Functional):
        inputs = [Value(t._keras_history.operation.name, (None, *t.shape[1:]), t.dtype) for t in model.inputs]
        functional = model._functional if isinstance(model, keras.Sequential) else model
        return inputs, lambda flat: ([keras.tree.pack_sequence_as(functional._inputs_struct, flat)], {})
    call = example(model) or _built_on(model)
    leaves = [(path, leaf) for path, leaf in keras.tree.flatten_with_path(call) if isinstance(leaf, keras.KerasTensor)]
    if not leaves:
        raise BridgeError(
            f"{model.name} ({type(model).__name__}): the shapes of its inputs are not known.\n"
            "Call the model once on an example (arrays, or keras.Input) before the --arch function returns it."
        )
    # {"inputs": {"a": ..., "b": ...}} are the inputs a and b
    paths = [path[1:] if len(call) == 1 and len(path) > 1 else path for path, _ in leaves]
    paths = [path if isinstance(path[0], str) else ("input", *path) for path in paths]
    names = ["_".join(map(str, path)) for path in paths]
    return [Value(n, tuple(t.shape), t.dtype) for n, (_, t) in zip(names, leaves, strict=True)], _arranged(call)


def _built_on(model: keras.Model) -> dict[str, Any]:
    """The arguments as far as the model's build says them: float32 arrays of these shapes."""
    shapes = {n.removesuffix("_shape"): s for n, s in (getattr(model, "_build_shapes_dict", None) or {}).items()}
    if not all(_is_shape(shape) for shape in shapes.values()):
        return {}
    return {name: keras.KerasTensor((None, *shape[1:])) for name, shape in shapes.items()}


def _arranged(call: dict[str, Any]) -> Any:
    """Flat tensors as the arguments of the call that is known: the first by its place, others by their names."""

    def arrange(flat: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        tensors = iter(flat)
        named = keras.tree.map_structure(
            lambda leaf: next(tensors) if isinstance(leaf, keras.KerasTensor) else leaf, call
        )
        return [named.pop(next(iter(call)))], named

    return arrange


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(size is None or isinstance(size, int) for size in value)


def named_outputs(model: keras.Model, outputs: Any) -> dict[str, tf.Tensor]:
    inputs = {value.name for value in signature(model)[0]}
    if isinstance(outputs, dict):
        named = {"/".join(map(str, path)): leaf for path, leaf in _leaves(outputs)}
    else:
        flat = keras.tree.flatten(outputs)
        functional = model._functional if isinstance(model, keras.Sequential) else model
        own = list(getattr(functional, "output_names", None) or [])
        if len(own) != len(flat) or len(set(own)) != len(own):
            own = ["output"] if len(flat) == 1 else [f"output_{i}" for i in range(len(flat))]
        named = dict(zip(own, flat, strict=True))
    named = {f"{name}/output" if name in inputs else name: value for name, value in named.items()}
    if any(not tf.is_tensor(value) for value in named.values()):
        raise BridgeError(f"{model.name}: its outputs are not tensors alone, in lists, tuples and dicts.")
    # a variable that the model's code gives back is a tensor to TensorFlow, but in no graph
    return {n: tf.convert_to_tensor(v) if isinstance(v, keras.Variable) else v for n, v in named.items()}


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What is in dicts, lists and tuples, and where, in the order in which the model's code put it there."""
    if not isinstance(value, dict | list | tuple):
        yield path, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(item, (*path, key))
