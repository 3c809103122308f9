"""Keras's own training of a model on given batches: the truth that the torch side is held against."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bridge.keras_side.names import names

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}


def optimizer_from(options: dict[str, Any]) -> keras.optimizers.Optimizer:
    """A new Keras optimizer: {"name": "adam", "learning_rate": 0.01, ...}; what is absent has Keras's default."""
    options = dict(options)
    name = options.pop("name")
    return getattr(keras.optimizers, OPTIMIZERS[name])(**options)


def train_steps(
    model: keras.Model,
    optimizer: dict[str, Any],
    loss: str,
    x: np.ndarray | dict[str, np.ndarray],
    y: np.ndarray,
    batch: int = 32,
    steps: int | None = None,
    epochs: int = 1,
) -> dict[str, Any]:
    """Trains `model` by `train_on_batch` on the rows of x and y in their order.

    steps: stop after so many steps, going round the rows as often as needed; without it `epochs` whole passes.
    Returns {"weights": {bridge's path: array}, "losses": (steps,) float64, the loss of each batch before its step}.
    """
    model.compile(optimizer=optimizer_from(optimizer), loss=loss)
    columns = x if isinstance(x, dict) else {"": x}
    rows = len(y)
    a_pass = -(-rows // batch)
    losses = []
    for step in range(steps if steps is not None else epochs * a_pass):
        start = step % a_pass * batch
        part = {name: column[start : start + batch] for name, column in columns.items()}
        losses.append(float(model.train_on_batch(part if isinstance(x, dict) else part[""], y[start : start + batch])))
    weights = {path: np.asarray(variable) for path, variable in names(model).variables.items()}
    return {"weights": weights, "losses": np.array(losses, np.float64)}
