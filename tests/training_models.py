"""Model cases that are trained in both frameworks; what they learn from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

ROWS, TOKENS, CLASSES = 96, 10, 3


@dataclass(frozen=True)
class Trained:
    """A model of model_cases.MODELS and how it is trained.

    inputs: shapes without the batch, by input name. Integers if `integers`, else floats. no_gradient: ends of paths of
    weights whose gradient is rounding alone; Adam makes steps of it.
    """

    model: str
    inputs: dict[str, tuple[int, ...]]
    integers: bool = False
    target: tuple[int, ...] = ()
    loss: str = "sparse_categorical_crossentropy"
    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adam"})
    batch: int = 16
    steps: int = 100
    no_gradient: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.model} {self.optimizer['name']}"

    def case(self) -> dict[str, Any]:
        return asdict(self) | {"name": self.name}

    def arrays(self) -> dict[str, np.ndarray]:
        """x/INPUT and y: the class is where the largest or most frequent of the first steps is."""
        rng = np.random.default_rng(5)
        y = rng.integers(0, CLASSES, ROWS)
        found = {}
        for name, shape in self.inputs.items():
            if self.integers:
                x = rng.integers(1, TOKENS, (ROWS, *shape)).astype(np.int32)
            else:
                x = rng.standard_normal((ROWS, *shape)).astype(np.float32)
            x[np.arange(ROWS), y] = 1  # where this stands tells the class
            found[f"x/{name}"] = x
        if self.loss == "mse":
            return found | {"y": rng.standard_normal((ROWS, *self.target)).astype(np.float32)}
        return found | {"y": y}


ATTENTION = ("attention/key/bias",)  # what all keys have in common, softmax does not see
TRAINED = [
    Trained("recurrent_classifier", {"words": (6,)}, True),
    Trained("recurrent_classifier", {"words": (6,)}, True, optimizer={"name": "rmsprop"}, steps=30),
    Trained("lstm_of_other_activations", {"steps": (6, 3)}),
    Trained("transformer_classifier", {"tokens": (5,)}, True, no_gradient=ATTENTION),
    Trained(
        "transformer_classifier",
        {"tokens": (5,)},
        True,
        optimizer={"name": "rmsprop", "centered": True, "clipnorm": 0.1},
        steps=30,
        no_gradient=ATTENTION,
    ),
    Trained(
        "language_model_with_tied_weights",
        {"tokens": (5,)},
        True,
        target=(5, 11),
        loss="mse",
        optimizer={"name": "adamw", "global_clipnorm": 0.1},
        steps=30,
        no_gradient=ATTENTION,
    ),
]
