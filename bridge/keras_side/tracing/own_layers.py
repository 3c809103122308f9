"""Layers of the user's own with a rule of theirs: one node each, however they compute."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from bridge.errors import BridgeError
from bridge.graph import Layer
from bridge.keras_side.names import Names
from bridge.own_rules import Rules

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer


def kind_of(layer: keras.Layer) -> str:
    """The class's registered name, `Package>Name`; one that is not registered is in Keras's own default package."""
    name = str(keras.saving.get_registered_name(type(layer)))
    return name if ">" in name else f"Custom>{name}"


def is_ruled(layer: Any, rules: Rules) -> bool:
    """Whether the layer is of a class of the user's own that has a rule."""
    own = isinstance(layer, keras.Layer) and not type(layer).__module__.startswith("keras.src.")
    return own and rules.knows(kind_of(layer))


def refuse_idle(model: keras.Model, found: Names, rules: Rules) -> None:
    """Raises BridgeError if rules were given and none is for a layer of the model: it is a mistake."""
    layers = [layer for layer in model._flatten_layers() if id(layer) in found.layers]
    if not rules.bodies or any(is_ruled(layer, rules) for layer in layers):
        return
    own = {kind_of(layer) for layer in layers if not type(layer).__module__.startswith("keras.src.")}
    raise BridgeError(
        f"{model.name}: no layer of it is of a class that {', '.join(map(str, rules.files))} has a rule for "
        f"({', '.join(rules.bodies)}).\nClasses of its own that it has: {', '.join(sorted(own)) or 'none'}."
    )


def call(tracer: Tracer, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The outputs of a node for this call. Raises BridgeError with the reason if it can't be one."""
    bound = dict(inspect.signature(layer.call).bind(*args, **kwargs).arguments)
    training = bound.pop("training", None)
    if training is not None and not tracer.forks.is_callers(training):
        raise BridgeError("the model's own code fixes whether this call is training, which a rule can't know")
    bound |= bound.pop("kwargs", {})
    leaves = {
        "_".join(map(str, (name, *path))): leaf
        for name, value in bound.items()  # in the order of the signature
        for path, leaf in keras.tree.flatten_with_path(value)
    }
    tensors = {name: leaf for name, leaf in leaves.items() if tf.is_tensor(leaf)}
    others = {name: leaf for name, leaf in leaves.items() if leaf is not None and name not in tensors}
    if not tensors:
        raise BridgeError("it is called without a tensor")
    if any(tensor.shape.rank is None for tensor in tensors.values()):
        raise BridgeError("its input has no known rank, which the conversion needs")
    if tracer.steps.told()[0] and layer.non_trainable_variables:
        raise BridgeError("it is called on all steps at once (TimeDistributed) and has variables that training moves")
    config = _config(layer)
    if len(tensors) > 1 or others:
        config["call"] = {"tensors": list(tensors), **others}
    path = tracer.found.layers[id(layer)]
    own = _weights(layer, path, tracer.found)
    described = Layer(
        kind_of(layer),
        path,
        _as_json(config),
        {word: tracer.found.weights[id(variable)] for word, variable in own.items()},
        trainable=bool(layer.trainable),
    )
    said = _outputs(tracer, layer, args, kwargs)
    outputs = [(tuple(spec.shape), spec.dtype) for spec in keras.tree.flatten(said)]
    results = tracer.placeholders(
        described, tracer.free_name(path), list(tensors.values()), list(own.values()), outputs
    )
    return keras.tree.pack_sequence_as(said, results) if keras.tree.is_nested(said) else results[0]


def _config(layer: keras.Layer) -> dict[str, Any]:
    try:
        return dict(layer.get_config())
    except NotImplementedError:  # a class that does not say how it was made
        return {"name": layer.name}


def _as_json(config: dict[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(config, default=keras.saving.serialize_keras_object))
    except (TypeError, ValueError) as error:
        raise BridgeError(f"its config can't be written as JSON: {str(error)[:120]}") from None
    return plain


def _outputs(tracer: Tracer, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The shapes and types of what its code gives, as its code itself says them; nothing of that run is kept."""

    def spec(value: Any) -> Any:
        return keras.KerasTensor(tuple(value.shape), dtype=value.dtype.name) if tf.is_tensor(value) else value

    given = keras.tree.map_structure(spec, (args, {**kwargs, **({"training": False} if "training" in kwargs else {})}))
    with tracer.apart() as losses:
        said = keras.src.backend.compute_output_spec(layer.call, *given[0], **given[1])
    if losses:
        raise BridgeError("it adds a loss in its call, which a rule can't say: convert it without its rule")
    if not all(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten(said)):
        raise BridgeError("what it gives are not tensors alone, in lists, tuples and dicts")
    return said


def _weights(layer: keras.Layer, path: str, found: Names) -> dict[str, Any]:
    """Its variables and those of the layers in it, by their paths within it: kernel, or dense/kernel."""
    words: dict[str, Any] = {}
    for each in layer._flatten_layers():
        for variable in [*each._trainable_variables, *each._non_trainable_variables]:
            weight = found.weights.get(id(variable))
            if weight is None or any(variable is known for known in words.values()):
                continue
            word = re.sub(r"[^\w/]", "_", weight.path.removeprefix(f"{path}/"))
            word = "/".join(f"_{part}" if part[:1].isdigit() else part for part in word.split("/"))
            free, number = word, 1
            while free.replace("/", "_") in {known.replace("/", "_") for known in words}:
                number += 1
                free = f"{word}_{number}"
            words[free] = variable
    return words
