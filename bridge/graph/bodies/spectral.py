"""The body of SpectralNormalization: in inference the layer that it wraps, with its kernel as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.graph.bodies.embedding import embedded
from bridge.graph.body import BODIES, Refused, body
from bridge.graph.layer import Layer, Shape


def wrapped(layer: Layer) -> Layer:
    """The layer that a SpectralNormalization wraps, with its own weights. Raises Refused for one that it can't."""
    inner: dict[str, Any] = layer.config["layer"]
    kind, config = str(inner["class_name"]), dict(inner["config"])
    weights = {word: weight for word, weight in layer.weights.items() if word != "vector_u"}
    if kind not in BODIES or (normalized(layer) != "kernel" and kind != "Embedding"):
        raise Refused(f"around {kind[:60]} it is not possible yet")
    return replace(layer, kind=kind, path=f"{layer.path}/{config['name']}", config=config, weights=weights)


def normalized(layer: Layer) -> str:
    """The layer's own word for the weight that is normalized."""
    return "kernel" if "kernel" in layer.weights else "embeddings"


@body("SpectralNormalization")
def spectral_normalization(layer: Layer, shapes: list[Shape]) -> str:
    """The wrapped layer's own body; training alone normalizes the kernel."""
    inner = wrapped(layer)
    if inner.kind == "Embedding":  # of float32 numbers: Keras gives the output the input's type
        return f"whole = Cast <to = 6> (x)\n{embedded(inner, 'whole')}"
    return BODIES[inner.kind](inner, shapes)
