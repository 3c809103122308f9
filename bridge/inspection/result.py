"""What an inspection found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Weight:
    """trainable: None where the file does not tell."""

    name: str
    shape: Shape
    dtype: str
    trainable: bool | None = None

    @property
    def size(self) -> int:
        return math.prod(size or 0 for size in self.shape)


@dataclass(frozen=True)
class Layer:
    """A layer, an ONNX node, or a group of weights. kind: "" where it is not told; output_shape: None there."""

    name: str
    kind: str
    output_shape: Shape | None = None
    weights: tuple[Weight, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(weight.size for weight in self.weights)


@dataclass(frozen=True)
class Inspection:
    """facts: versions, inputs, outputs and the like, for people. convert: what bridge can do with the file.

    refusals: everything that convert would refuse and why. warnings: what is odd about the file: NaN, stale parts.
    notes: what else to know: what of Keras's training torch will lack. skeleton: for weights alone of a plain stack,
    the source of a function for --arch, with blanks.
    """

    path: str
    format: str
    facts: dict[str, str]
    layers: list[Layer]
    convert: list[str]
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skeleton: str = ""

    @property
    def parameters(self) -> int:
        """All numbers in the weights."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int | None:
        """The numbers that training changes; None where the file does not tell of each weight."""
        weights = [weight for layer in self.layers for weight in layer.weights]
        if any(weight.trainable is None for weight in weights):
            return None
        return sum(weight.size for weight in weights if weight.trainable)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = asdict(self)
        for listed, layer in zip(values["layers"], self.layers, strict=True):
            listed["parameters"] = layer.parameters
        return values | {"parameters": self.parameters, "trainable": self.trainable}
