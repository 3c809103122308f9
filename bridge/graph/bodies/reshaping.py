"""The bodies of the layers that change shapes alone."""

from __future__ import annotations

from bridge.graph.body import body, integers
from bridge.graph.layer import Layer, Shape


@body("Flatten")
def flatten(layer: Layer, shapes: list[Shape]) -> str:
    rank = len(shapes[0])
    if layer.config.get("data_format") == "channels_first" and rank > 2:
        return f"t = Transpose <perm = {[0, *range(2, rank), 1]}> (x)\ny = Flatten <axis = 1> (t)"
    return "y = Flatten <axis = 1> (x)"


@body("Reshape")
def reshape(layer: Layer, shapes: list[Shape]) -> str:
    return integers("shape", [0, *layer.config["target_shape"]]) + "y = Reshape(x, shape)"


@body("Permute")
def permute(layer: Layer, shapes: list[Shape]) -> str:
    return f"y = Transpose <perm = {[0, *layer.config['dims']]}> (x)"


@body("RepeatVector")
def repeat_vector(layer: Layer, shapes: list[Shape]) -> str:
    """(batch, features) -> (batch, n, features)."""
    return (
        integers("axis", [1])
        + integers("times", [1, layer.config["n"], 1])
        + "r = Unsqueeze(x, axis)\ny = Expand(r, times)"
    )
