"""The bodies of what a model's own code says beside its arithmetic: where no gradient goes, and losses that it adds."""

from __future__ import annotations

from bridge.graph.body import body
from bridge.graph.layer import Layer, Shape

OWN_CODE = ("StopGradient", "AddedLoss")  # no layers of Keras's, but nodes as these are


@body("StopGradient")
def stop_gradient(layer: Layer, shapes: list[Shape]) -> str:
    """y = x."""
    return "y = Identity(x)"


@body("AddedLoss")
def added_loss(layer: Layer, shapes: list[Shape]) -> str:
    """y = x0; x1 is the loss that the layer added by `add_loss`."""
    return "y = Identity(x0)"
