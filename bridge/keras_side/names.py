"""The path of every layer and every variable of a Keras model: the names that everything later goes by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from bridge.graph import Weight


@dataclass
class Names:
    """layers: id of a layer -> its path. variables: id of a variable -> its Weight."""

    layers: dict[int, str] = field(default_factory=dict)
    weights: dict[int, Weight] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)  # path -> keras.Variable, in the model's order


def names(model: keras.Model) -> Names:
    """Names by position: `outer/inner/kernel` for the variable "kernel" of the layer "inner" in the layer "outer".

    Keras's own `variable.path` depends on the order in which models were built and need not be unique; this does not.
    A layer that is reachable twice has the path at which it is met first.
    """
    found = Names()
    for layer, path in _walk(model, ""):
        found.layers[id(layer)] = path
        inner = _wrapped_variables(layer)
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
            if id(variable) in found.weights or id(variable) in inner or _is_random_state(variable):
                continue
            name = _free("/".join(filter(None, [path, own_word(layer, variable)])), found.variables)
            found.variables[name] = variable
            found.weights[id(variable)] = Weight(
                name,
                tuple(variable.shape),
                str(variable.dtype),
                state=any(variable is v for v in layer._non_trainable_variables),
                trainable=bool(variable.trainable),
                regularizer=_config(keras.regularizers, variable.regularizer),
                constraint=_config(keras.constraints, variable.constraint),
                initializer=_initializer(layer, variable),
            )
    return found


def own_word(layer: keras.Layer, variable: Any) -> str:
    """What the layer calls its variable: the name it gave it, else its attribute; Keras makes up variable_7."""
    if not re.fullmatch(r"variable(_\d+)?", variable.name):
        return str(variable.name)
    return next((name for name, value in vars(layer).items() if value is variable), "variable")


def layers_by_path(model: keras.Model) -> dict[str, keras.Layer]:
    """Every layer of the model by its path, the model itself left out."""
    return {path: layer for layer, path in _walk(model, "") if path}


def _walk(root: keras.Layer, root_path: str) -> Iterator[tuple[keras.Layer, str]]:
    seen: set[int] = set()

    def visit(layer: keras.Layer, path: str) -> Iterator[tuple[keras.Layer, str]]:
        seen.add(id(layer))
        yield layer, path
        taken: dict[str, None] = {}
        for child in layer._flatten_layers(include_self=False, recursive=False):
            if id(child) in seen or _is_shell(layer, child):
                if _is_shell(layer, child):
                    seen.add(id(child))
                continue
            name = _free(child.name, taken)
            taken[name] = None
            yield from visit(child, "/".join(filter(None, [path, name])))

    yield from visit(root, root_path)


def _is_shell(parent: keras.Layer, child: keras.Layer) -> bool:
    """Whether child is the Functional that a Sequential keeps of itself: the same layers once more."""
    return isinstance(parent, keras.Sequential) and child is getattr(parent, "_functional", None)


def _wrapped_variables(layer: keras.Layer) -> set[int]:
    """The ids of variables that a wrapper keeps too, though they are the wrapped layer's."""
    if not isinstance(layer, keras.layers.SpectralNormalization):
        return set()
    return {id(variable) for variable in layer.layer.weights}


def _is_random_state(variable: Any) -> bool:
    return variable.name.startswith("seed_generator_state")


def _free(name: str, taken: dict[str, Any]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def is_own(thing: Any) -> bool:
    """Whether a regularizer or constraint is the user's own code (see own_penalties)."""
    return thing is not None and not type(thing).__module__.startswith(
        ("keras.src.regularizers", "keras.src.constraints")
    )


def _config(module: Any, thing: Any) -> dict[str, Any] | None:
    if thing is None or is_own(thing):
        return None
    for name, value in vars(thing).items():
        if isinstance(value, tf.Tensor) and not hasattr(value, "numpy"):  # made while Keras traced the layer around it
            setattr(thing, name, float(tf.get_static_value(value)))
    return dict(module.serialize(thing))


def _initializer(layer: keras.Layer, variable: Any) -> dict[str, Any] | None:
    """How the layer begins this variable: a built variable no longer knows, the layer keeps it as an attribute."""
    name = variable.name
    if name == "kernel" and not hasattr(layer, "kernel_initializer"):
        name = "depthwise_kernel"  # what the depthwise layers' own option is called after
    option = name.removesuffix("_kernel") if name.endswith("_kernel") else name
    found = getattr(layer, f"{option}_initializer", None)
    if not type(found).__module__.startswith("keras.src.initializers."):
        return None  # none, or the user's own code, which a file can't hold
    config = keras.initializers.serialize(found)
    if (
        isinstance(layer, keras.layers.EinsumDense)
        and name == "kernel"
        and found.get_config().get("input_axes", ()) is None
    ):
        _, kernel, made = re.split(",|->", layer.equation.replace("...", ""))
        axes = {"input_axes": [i for i, c in enumerate(kernel) if c not in made]}
        axes["output_axes"] = [i for i, c in enumerate(kernel) if c in made]
        config = {**config, "config": {**config["config"], **axes}}  # as the layer itself does when it is built
    if name == "bias" and getattr(layer, "unit_forget_bias", False):  # LSTM: ones for the forget gate
        return {"class_name": "UnitForgetBias", "config": {"bias_initializer": config}}
    return config
