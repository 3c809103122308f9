"""What the project means by a weight, a layer and a node of a layered model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from bridge.own_rules import Rules

Shape = tuple[int | None, ...]
# What layers that leave images as they are in inference do to them in training, at random. Those of the first kind do
# it in torch too; the second ones don't, and say so.
AUGMENT = (
    *("RandomFlip", "RandomCrop", "RandomBrightness", "RandomContrast"),
    *("RandomTranslation", "RandomRotation", "RandomZoom"),
)
LACKED = {
    "AugMix": "mixes chains of changes into the images",
    "CutMix": "pastes parts of other images of the batch into the images",
    "Equalization": "equalizes the histogram of each channel",
    "MixUp": "mixes the images with others of the batch",
    "RandAugment": "changes the images in randomly chosen ways",
    "RandomColorDegeneration": "takes color from the images",
    "RandomColorJitter": "changes brightness, contrast, saturation and hue",
    "RandomElasticTransform": "distorts the images",
    "RandomErasing": "erases a rectangle of the images",
    "RandomGaussianBlur": "blurs the images",
    "RandomGrayscale": "makes some of the images gray",
    "RandomHeight": "changes the height of the images",  # of Keras 2, as is RandomWidth
    "RandomHue": "changes the hue of the images",
    "RandomInvert": "inverts some of the images",
    "RandomPerspective": "changes the perspective of the images",
    "RandomPosterization": "takes bits from the colors of the images",
    "RandomSaturation": "changes the saturation of the images",
    "RandomSharpness": "changes the sharpness of the images",
    "RandomShear": "shears the images",
    "RandomWidth": "changes the width of the images",
    "Solarization": "inverts what is bright in the images",
}
ACT_IN_TRAINING = (  # layers that compute another thing in training
    *AUGMENT,
    *LACKED,
    "BatchNormalization",
    "SpectralNormalization",
    *("Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "StochasticDepth"),
)
DROPOUTS = ("dropout", "recurrent_dropout")  # options of attention and recurrent layers


def dropout_of(config: Any) -> float:
    """The largest dropout rate in a layer's config, those of the cells and layers within it too."""
    if isinstance(config, list):
        return max(map(dropout_of, config), default=0.0)
    if not isinstance(config, dict):
        return 0.0
    own = [float(config.get(name) or 0.0) for name in DROPOUTS]
    return max(*own, *map(dropout_of, config.values()))


def without_dropout(config: Any) -> Any:
    """The config with all these rates 0."""
    if isinstance(config, list):
        return [without_dropout(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {name: 0.0 if name in DROPOUTS else without_dropout(value) for name, value in config.items()}


@dataclass(frozen=True)
class Weight:
    """One Keras variable: the initializer `path`, in Keras's layout and bits."""

    path: str  # "encoder/dense_1/kernel"
    shape: tuple[int, ...]
    dtype: str = "float32"
    state: bool = False  # Keras never trains it (moving statistics): a buffer in torch
    trainable: bool = True  # False when the layer was frozen in Keras
    regularizer: dict[str, Any] | None = None
    constraint: dict[str, Any] | None = None
    initializer: dict[str, Any] | None = None  # how Keras begins it, where the layer says so

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Layer:
    """One Keras layer that is a node of its own.

    weights: by the layer's own word for them ("kernel"), in Keras's order.
    """

    kind: str  # "Dense"
    path: str  # "encoder/dense_1"
    config: dict[str, Any]
    weights: dict[str, Weight] = field(default_factory=dict)
    trainable: bool = True

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"


@dataclass(frozen=True)
class Value:
    """A tensor between nodes. The first axis of shape is the batch (None); None elsewhere is unknown."""

    name: str
    shape: Shape | None
    dtype: str = "float32"


@dataclass
class Node:
    """One step of the graph: a call of a layer, or a standard ONNX operator (layer is None)."""

    name: str
    kind: str
    inputs: list[str]  # tensors, then the layer's weights; "" for an absent optional input
    outputs: list[str]
    layer: Layer | None = None
    training: bool | None = None  # what the model's own code fixed for this call; None: as the caller says
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> list[str]:
        """The inputs without the layer's weights."""
        return self.inputs[: len(self.inputs) - len(self.layer.weights)] if self.layer else self.inputs

    @property
    def is_split(self) -> bool:
        """Whether this is a part of a layer alone: its activation or activity penalty, the merging of its steps."""
        return bool(self.attributes.get("split"))

    def __str__(self) -> str:
        return str(self.layer) if self.layer else f"{self.name} ({self.kind})"


@dataclass
class Graph:
    """A layered model without its ONNX clothing, in the order of execution."""

    name: str
    inputs: list[Value]
    outputs: list[Value]
    nodes: list[Node]
    weights: dict[str, Weight]  # every Keras variable by path, used or not
    arrays: Mapping[str, np.ndarray]  # their values; of large models read when they are asked for
    constants: dict[str, np.ndarray] = field(default_factory=dict)  # initializers that are no Keras variable
    values: dict[str, Value] = field(default_factory=dict)  # what is known of the tensors between nodes
    keras_config: str | None = None  # the whole model's JSON, when Keras could write one
    source: dict[str, Any] = field(default_factory=dict)  # file name, format, versions: for people
    saved_model: str | None = None  # of one: all of it that is no weight, as text (keras_side/saved_model/pack.py)
    checkpoint: str | None = None  # the same of a checkpoint of TensorFlow's
    functions: dict[str, onnx.FunctionProto] = field(
        default_factory=dict
    )  # of nodes with a rule of the user's, by name
    rules: Rules | None = None  # the user's own, as far as they were given
    inner: dict[str, Node] = field(default_factory=dict)  # of layers in loops and conditions, by name (inner_layers.py)

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self.weights.values())

    @property
    def layers(self) -> dict[str, Layer]:
        """The layers by path, each once, in the order of first use."""
        nodes = [*self.nodes, *self.inner.values()]
        return {node.layer.path: node.layer for node in nodes if node.layer and not node.is_split}

    def maker(self, value: str) -> Node | None:
        """The node that gives a value; None for an input, a weight or a constant."""
        return next((node for node in self.nodes if value in node.outputs), None)
