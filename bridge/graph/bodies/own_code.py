"""The bodies of what a model's own code says beside its arithmetic: where no gradient goes, losses that it adds, and
what it does in training alone.
"""

from __future__ import annotations

from bridge.graph.body import body
from bridge.graph.layer import Layer, Shape

# no layers of Keras's, but nodes as these are
OWN_CODE = (
    *("StopGradient", "AddedLoss", "InTraining", "AssignedState", "RandomNormal", "RandomUniform"),
    *("OwnGradient", "UpstreamGradient"),
)


@body("StopGradient")
def stop_gradient(layer: Layer, shapes: list[Shape]) -> str:
    """y = x."""
    return "y = Identity(x)"


@body("AddedLoss")
def added_loss(layer: Layer, shapes: list[Shape]) -> str:
    """y = x0; x1 is the loss that the layer added by `add_loss`."""
    return "y = Identity(x0)"


@body("InTraining")
def in_training(layer: Layer, shapes: list[Shape]) -> str:
    """y, y1, ... = x0, x1, ...; what they are in training is written beside the graph: graph/changes/in_training.py."""
    if len(shapes) == 1:
        return "y = Identity(x)"
    return "\n".join(f"y{i or ''} = Identity(x{i})" for i in range(len(shapes)))


@body("OwnGradient")
def own_gradient(layer: Layer, shapes: list[Shape]) -> str:
    """y, y1, ... = x0, x1, ...; what their gradient is, is written beside the graph as what training alone needs is."""
    return in_training(layer, shapes)


@body("UpstreamGradient")
def upstream_gradient(layer: Layer, shapes: list[Shape]) -> str:
    """The gradient that comes to x in a backward pass, in whose place x is."""
    return "y = Identity(x)"


@body("AssignedState")
def assigned_state(layer: Layer, shapes: list[Shape]) -> str:
    """y = x0; x1 is the new value of the variable x2."""
    return "y = Identity(x0)"


@body("RandomNormal")
def random_normal(layer: Layer, shapes: list[Shape]) -> str:
    """Numbers of the standard normal distribution, as many as x has."""
    return "y = RandomNormalLike(x)"


@body("RandomUniform")
def random_uniform(layer: Layer, shapes: list[Shape]) -> str:
    """Numbers from 0 up to 1, as many as x has."""
    return "y = RandomUniformLike(x)"
