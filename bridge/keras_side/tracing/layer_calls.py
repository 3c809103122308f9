"""A call of one of Keras's own layers as a node: whether it can be one, and what the node says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from bridge.graph import Layer
from bridge.graph.bodies.augmentation import AUGMENTATIONS
from bridge.graph.bodies.conv_lstm import CONV_LSTM
from bridge.graph.bodies.convolution import CONVOLUTIONS
from bridge.graph.bodies.recurrent_runs import RECURRENT
from bridge.graph.layer import ACT_IN_TRAINING, dropout_of
from bridge.keras_side.names import own_word
from bridge.keras_side.old.layers import hard_sigmoid_of_keras2
from bridge.keras_side.tracing import attention, calls, layer_facts, recurrent
from bridge.keras_side.tracing.penalty_nodes import penalized, penalized_by_node

if TYPE_CHECKING:
    from bridge.keras_side.tracing.tracer import Tracer

# layers whose `activation` option becomes a node of its own
SPLITS_ACTIVATION = ("Dense", "EinsumDense", *CONVOLUTIONS)
_CAST = ("Dense", "BatchNormalization", "LayerNormalization")  # Keras computes them in float32 whatever they are given
_TAKE_ANY = (*_CAST, "Rescaling", "Normalization", "Flatten", "Reshape", "Permute", "RepeatVector", "Identity")
_TAKE_NUMBERS = ("Embedding", "CategoryEncoding", "IntegerLookup", "TimeDistributed")
ANEW = "the model makes this layer anew in each call; make it once"
_COMPOSITE = attention.HEADS  # the weights of the layers that they are made of are theirs


def reason(tracer: Tracer, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Why this call of a known layer can't be a node, if so."""
    if id(layer) not in tracer.found.layers:
        return ANEW
    if tracer.forks.forking and not layer.built:
        return "it is called in training alone, and the file has no weights of it"
    acts = type(layer).__name__ in ACT_IN_TRAINING or dropout_of(layer_facts.plain(layer.get_config()))
    training = kwargs.get("training")
    if training and not tracer.forks.is_callers(training) and acts:
        return "the model's code calls it with training=True, so its output is random or depends on the batch"
    if args and isinstance(args[0], dict):
        return "it is given a dict (images with their labels, boxes or masks), only images so far"
    named = calls.arguments(layer, args, kwargs)
    if named is not None:  # its masks are tensors like others, of any type
        args, kwargs = tuple(calls.without_masks(named).values()), {}
    tensors = [t for t in keras.tree.flatten((args, {**kwargs, "mask": None})) if tf.is_tensor(t)]
    if any(t.shape.rank is None for t in tensors):
        return "its input has no known rank, which the conversion needs"
    kind, reverse = type(layer).__name__, kwargs.get("reverse", False)
    takes_any = kind in (*_TAKE_ANY, *_TAKE_NUMBERS) or (kind == "ReversibleEmbedding" and not reverse)
    wrong = {t.dtype.name for t in layer_facts.of_one_type(layer, tensors)} - {"float32"} if not takes_any else set()
    if wrong and kind == "SpectralNormalization":
        return f"its input is {', '.join(sorted(wrong))}, and Keras makes such numbers of its output; give it float32"
    if wrong:
        return f"its input is {', '.join(sorted(wrong))}, only float32 so far"
    return tracer.steps.reason(layer, tensors[0].shape.rank if tensors else 0)


def without_variables(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments, in which a weight that the model's own code hands to a layer is the tensor that it stands for."""
    if not any(isinstance(leaf, keras.Variable) for leaf in keras.tree.flatten((args, kwargs))):
        return args, kwargs
    return keras.tree.map_structure(
        lambda leaf: tf.convert_to_tensor(leaf) if isinstance(leaf, keras.Variable) else leaf, (args, kwargs)
    )


def called(tracer: Tracer, layer: keras.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The outputs of the node, or nodes, that stand for the call."""
    kind = type(layer).__name__
    path = tracer.scopes.path(layer)
    training = kwargs.pop("training", None)
    if kind in _CAST:
        args = keras.tree.map_structure(lambda t: tf.cast(t, tf.float32) if tf.is_tensor(t) else t, args)
    named = calls.arguments(layer, args, kwargs)
    kwargs.pop("mask", None)  # those that use it have it by name
    special = layer_facts.described(layer, kwargs)
    embeds = kind == "Embedding" or (kind == "ReversibleEmbedding" and not special["reverse"])
    if embeds and args[0].dtype not in (tf.int32, tf.int64):
        args = (tf.cast(args[0], tf.int32), *args[1:])  # as Keras does
    tensors = layer_facts.of_one_type(layer, [t for t in keras.tree.flatten((args, kwargs)) if tf.is_tensor(t)])
    if named is not None:
        tensors = list(calls.tensors(named).values())
    config = layer.get_config() | (calls.described(named) if named is not None else {}) | special
    if kind == "BatchNormalization":
        more, config = tracer.steps.described(config, named or ("inputs",))
        tensors += more
    own = _weights_of(tracer, layer)
    described = Layer(
        kind=kind,
        path=path,
        config=layer_facts.plain(config),
        weights={word: tracer.found.weights[id(v)] for word, v in own.items()},
        trainable=bool(layer.trainable),
    )
    fixed = None if training is None or tracer.forks.is_callers(training) else bool(training)
    acting = layer_facts.acting(layer)
    activation = getattr(acting, "activation", None) if type(acting).__name__ in SPLITS_ACTIVATION else None
    splits = activation is not None and activation is not keras.activations.linear
    is_penalized = penalized_by_node(acting) and kind != "ActivityRegularization"
    name = tracer.free_name(path)
    first = f"{name}/linear" if splits else f"{name}/value" if is_penalized else name
    out, outputs = _outputs(tracer, layer, args, kwargs, tensors, named)
    results = tracer.placeholders(described, first, tensors, list(own.values()), outputs, training=fixed)
    if named is not None and attention.is_attention(layer):
        attention.pass_masks_on(layer, named, results)
    if len(results) > 1:
        names = [name, *(f"{name}/{i}/penalized" for i in range(1, len(results)))]
        if is_penalized:
            results = [penalized(tracer, layer, path, t, n) for t, n in zip(results, names, strict=True)]
        return keras.tree.pack_sequence_as(out, results)
    result = results[0]
    if splits:
        result = _activated(tracer, acting, activation, f"{name}/value" if is_penalized else name, path, result)
    result = penalized(tracer, acting, path, result, name) if is_penalized else result
    layer_facts.pass_mask_on(layer, tensors[0], result, special)
    return result


def _outputs(
    tracer: Tracer,
    layer: keras.Layer,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: list[tf.Tensor],
    named: calls.Named | None,
) -> tuple[Any, list[layer_facts.Spec]]:
    """What Keras says comes out of the call, and the shapes and types of the tensors in it."""
    kind = type(layer).__name__
    if kind in AUGMENTATIONS:  # in inference they leave their input as it is, whatever they say of its shape
        out = _as_spec(tensors[0])
        if kind == "RandomCrop" and out.shape != layer.compute_output_shape(out.shape):
            tracer.uncropped = (
                f"Keras {keras.__version__} itself can't run it: {tracer.scopes.path(layer)} ({kind}) crops in training"
                " only,\nand what is behind it takes cropped images alone. Put a Resizing or a CenterCrop behind it."
            )
    else:
        spec = keras.tree.map_structure(_as_spec, (args, kwargs))
        out = layer.compute_output_spec(*spec[0], **spec[1])
    listed = keras.tree.flatten(out)
    if kind == "Activation":
        shapes: Iterable[layer_facts.Sizes] = [layer_facts.activated(layer.activation, listed[0].shape)]
    elif kind == "EinsumDense":
        shapes = [layer_facts.einsum_shape(layer.equation, tuple(tensors[0].shape), listed[0].shape)]
    else:
        shapes = calls.output_shapes(layer, named, listed)
    outputs = [(tuple(shape), spec.dtype) for shape, spec in zip(shapes, listed, strict=True)]
    return out, layer_facts.outputs(layer, tensors, outputs)


def _activated(tracer: Tracer, layer: keras.Layer, activation: Any, name: str, path: str, x: tf.Tensor) -> tf.Tensor:
    if activation not in keras.src.activations.ALL_OBJECTS and activation is not hard_sigmoid_of_keras2:
        return activation(x)  # a layer, or the user's own function: traced as what it is
    config = {"name": layer.name, "activation": keras.activations.serialize(activation)}
    shape = layer_facts.activated(activation, tuple(x.shape))
    described = Layer("Activation", path, config)
    return tracer.placeholders(described, name, [x], [], [(tuple(shape), x.dtype.name)], split=True)[0]


def _weights_of(tracer: Tracer, layer: keras.Layer) -> dict[str, Any]:
    """The layer's variables by its own word for them; those of the layers in a composite one as `query/kernel`."""
    if type(layer).__name__ in (*RECURRENT, *CONV_LSTM):
        found = recurrent.weights(layer)
        return {word: v for word, v in found.items() if id(v) in tracer.found.weights}
    within = tracer.scopes.path(layer) + "/"
    inner = layer._flatten_layers(include_self=False) if type(layer).__name__ in _COMPOSITE else []
    acting = layer_facts.acting(layer)
    found: dict[str, Any] = {}
    for each in (*([acting] if acting is not layer else []), layer, *inner):
        for variable in [*each._trainable_variables, *each._non_trainable_variables]:
            if (weight := tracer.found.weights.get(id(variable))) is not None:
                word = own_word(each, variable) if each in (layer, acting) else weight.path.removeprefix(within)
                found[word] = variable
    return found


def _as_spec(value: Any) -> Any:
    return keras.KerasTensor(tuple(value.shape), dtype=value.dtype.name) if tf.is_tensor(value) else value
