"""The bodies of the layers that networks of keras.applications bring along, besides those of keras.layers."""

from __future__ import annotations

from bridge.graph.body import body, number
from bridge.graph.layer import Layer, Shape

# Where Keras has them: a file may name these, and no other class there
APPLICATIONS = {
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "LayerScale": "keras.src.applications.convnext",
    "StochasticDepth": "keras.src.applications.convnext",
}


@body("LayerScale")
def layer_scale(layer: Layer, shapes: list[Shape]) -> str:
    """y = x * gamma, a factor for each channel."""
    return "y = Mul(x, gamma)"


@body("StochasticDepth")
def stochastic_depth(layer: Layer, shapes: list[Shape]) -> str:
    """y = x: it drops whole samples, in training only."""
    return "y = Identity(x)"


@body("CustomScaleLayer")
def custom_scale(layer: Layer, shapes: list[Shape]) -> str:
    """y = x0 + x1 * scale."""
    return number("scale", layer.config["scale"], "x0") + "scaled = Mul(x1, scale)\ny = Add(x0, scaled)"
