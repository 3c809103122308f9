"""What a layer's call means where its config and its symbolic outputs don't tell: for the node that stands for it."""

from __future__ import annotations

import json
from typing import Any

import keras
import tensorflow as tf

MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")


def described(layer: keras.Layer, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a node's config says besides the layer's own."""
    if type(layer).__name__ == "ReversibleEmbedding":
        return {"reverse": bool(kwargs.get("reverse", False))}
    if type(layer).__name__ == "IntegerLookup":  # an adapted vocabulary is no part of its config
        with tf.init_scope():
            told: dict[str, Any] = {"vocabulary": [int(token) for token in layer.get_vocabulary(False)]}
            if layer.output_mode == "tf_idf":
                told["idf_weights"] = [float(weight) for weight in layer.idf_weights_const.numpy()]
        return told
    return {}


def acting(layer: keras.Layer) -> keras.Layer:
    """The layer whose activation and penalty follow the call: the wrapped one of a SpectralNormalization."""
    return layer.layer if type(layer).__name__ == "SpectralNormalization" else layer


Sizes = tuple[int | None, ...]
Spec = tuple[Sizes, str]  # shape and type


def outputs(layer: keras.Layer, inputs: list[tf.Tensor], said: list[Spec]) -> list[Spec]:
    """What comes out where what Keras says of symbolic tensors is not what it computes."""
    kind, (shape, dtype) = type(layer).__name__, said[0]
    if shape and shape[0] == 1 and any(x.shape.rank and x.shape[0] is None for x in inputs):  # one query for all rows
        said = [((None, *shape[1:]), dtype) for shape, dtype in said]
    if kind == "IntegerLookup" and layer.output_mode != "tf_idf":
        return [(shape, "int64")]
    if kind == "MelSpectrogram" and len(inputs[0].shape) == 2:
        time = inputs[0].shape[-1]
        centred = None if time is None else time + layer.fft_length // 2 * 2 - layer.fft_length
        return [((*shape[:-1], None if centred is None else 1 + centred // layer.sequence_stride), dtype)]
    return said


def pass_mask_on(layer: keras.Layer, x: tf.Tensor, y: tf.Tensor, config: dict[str, Any]) -> None:
    """Layers that set their output's mask themselves, in the call that a placeholder stands for."""
    if type(layer).__name__ == "SpectralNormalization" and layer.layer.supports_masking:
        mask = layer.layer.compute_mask(x, getattr(x, "_keras_mask", None))
        if mask is not None:
            keras.src.backend.set_keras_mask(y, mask)
    if type(layer).__name__ == "ReversibleEmbedding" and layer.mask_zero and not config["reverse"]:
        keras.src.backend.set_keras_mask(y, keras.layers.Embedding.compute_mask(layer, x))


def of_one_type(layer: keras.Layer, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """The inputs of a merge as Keras promotes them: whole numbers beside float32 become float32."""
    types = {t.dtype for t in tensors}
    if (
        type(layer).__name__ not in MERGES
        or tf.float32 not in types
        or any(t.is_floating for t in types - {tf.float32})
    ):
        return tensors
    return [t if t.dtype == tf.float32 else tf.cast(t, tf.float32) for t in tensors]


def activated(activation: Any, shape: Sizes) -> Sizes:
    """The shape after an activation: glu halves the last axis, which Keras's own layers don't say."""
    halves = activation is keras.activations.glu and shape[-1] is not None
    return (*shape[:-1], shape[-1] // 2) if halves else shape


def einsum_shape(equation: str, x: Sizes, said: Sizes) -> Sizes:
    """The shape of an EinsumDense's output: of several axes under `...` in front, Keras 3.15 reverses the order."""
    if not equation.startswith("..."):
        return said
    given, made = (len(term.removeprefix("...")) for term in (equation.partition(",")[0], equation.rpartition(">")[2]))
    return (*x[: len(x) - given], *said[len(said) - made :])


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """The config as JSON has it: tuples and arrays are lists, Keras's objects their own serialized form."""

    def listed(item: dict[str, Any]) -> Any:
        return item["config"]["value"] if item.get("class_name") in ("__numpy__", "__tensor__") else item

    return json.loads(json.dumps(config, default=keras.saving.serialize_keras_object), object_hook=listed)
