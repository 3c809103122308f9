"""What a model case is: a function that the Keras process calls; nothing imports Keras before that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

GRADIENTS = 2e-5  # rounding adds up over the layers that a gradient passes: Keras itself is seen 1.4e-5 from float64


@dataclass(frozen=True)
class ModelCase:
    """refused: what the message must match if bridge can't convert it. See case.Case for the rest.

    double: how far torch's float64 may be from Keras's where it can't be 1e-11 of the scale, with its reason.
    no_double: why there is no float64 to compare with.
    settled: weights and moving statistics go together as in a trained network, which deep networks need: with others
        their activations explode or die. Keras's own rounding of their gradients is recorded too.
    """

    name: str
    make: Callable[[], Any]
    values: str = "normal"
    random: bool = False
    looser: tuple[float, str] | None = None
    refused: str | None = None
    no_reference: str = ""
    double: tuple[float, str] | None = None
    no_double: str = ""
    settled: bool = False

    @property
    def tolerance(self) -> float:
        return self.looser[0] if self.looser else 1e-6

    @property
    def gradient_tolerance(self) -> float:
        return max(self.tolerance, GRADIENTS)

    @property
    def double_tolerance(self) -> float:
        return self.double[0] if self.double else 1e-11

    def __str__(self) -> str:
        return f"model-{self.name}"


SLOPE = (2e-8, "TensorFlow's LeakyRelu holds its slope as a float32")

MODELS: dict[str, ModelCase] = {}


def model(**options: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        MODELS[make.__name__] = ModelCase(make.__name__, make, **options)
        return make

    return register


def own_layer(name: str, call: Callable[..., Any], weights: Any = None, shape: Any = (6,)) -> Any:
    """A model of one custom layer behind a dense one, whose code is `call`; weights: their shapes by name."""
    import keras
    from keras import layers

    class Own(layers.Layer):
        def build(self, shape):
            for word, size in (weights or {}).items():
                setattr(self, word, self.add_weight(shape=size, name=word, initializer="glorot_uniform"))

        def call(self, x):
            return call(self, x)

    x = keras.Input(shape)
    y = layers.Dense(shape[-1], activation="tanh", name="before")(x)
    return keras.Model(x, Own(name=name)(y))
