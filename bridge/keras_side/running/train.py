"""Keras's own training of a model on given batches: the truth that the torch side is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from bridge.errors import BridgeError
from bridge.keras_side.names import names
from bridge.keras_side.precision import in_float32
from bridge.keras_side.signature import signature

FROM_LOGITS = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}


def optimizer_from(options: dict[str, Any]) -> keras.optimizers.Optimizer:
    """A new Keras optimizer: {"name": "adam", "learning_rate": 0.01, ...}; what is absent has Keras's default."""
    options = dict(options)
    name = options.pop("name")
    return getattr(keras.optimizers, OPTIMIZERS[name])(**options)


def train_steps(
    model: keras.Model,
    optimizer: dict[str, Any],
    loss: str | dict[str, str],
    x: np.ndarray | dict[str, np.ndarray],
    y: np.ndarray | dict[str, np.ndarray],
    batch: int = 32,
    steps: int | None = None,
    epochs: int = 1,
    logits: Sequence[bool] = (),
) -> dict[str, Any]:
    """Trains `model` by `train_on_batch` on the rows of x and y in their order.

    x: an array, or by input name; y: an array, or by output name. steps: stop after so many steps, going round the rows
    as often as needed; without it `epochs` whole passes. logits: whether each output is logits to its cross-entropy.
    Returns {"weights": {bridge's path: array}, "losses": (steps,) float64, the loss of each batch before its step}.
    """
    with in_float32(model):
        model.compile(optimizer=optimizer_from(optimizer), loss=_losses(loss, logits))
        columns, arrange = _arranged(model, x) if isinstance(x, dict) else ([x], lambda parts: parts[0])
        rows = len(columns[0])
        a_pass = -(-rows // batch)
        losses = []
        for step in range(steps if steps is not None else epochs * a_pass):
            part = slice(step % a_pass * batch, step % a_pass * batch + batch)
            targets = {name: array[part] for name, array in y.items()} if isinstance(y, dict) else y[part]
            found = model.train_on_batch(arrange([column[part] for column in columns]), targets)
            found = found[0] if isinstance(found, list) else found  # of several outputs the total comes first
            losses.append(float(found))
        weights = {path: np.asarray(variable) for path, variable in names(model).variables.items()}
        return {"weights": weights, "losses": np.array(losses, np.float64)}


def _losses(loss: str | dict[str, str], logits: Sequence[bool]) -> Any:
    if isinstance(loss, dict):
        marked = zip(loss.items(), [*logits, *([False] * (len(loss) - len(logits)))], strict=True)
        return {name: _losses(each, [from_logits]) for (name, each), from_logits in marked}
    return FROM_LOGITS[loss](from_logits=True) if any(logits) else loss


def _arranged(model: keras.Model, x: dict[str, np.ndarray]) -> tuple[list[np.ndarray], Callable[[list[Any]], Any]]:
    """The inputs in the model's order, and how its training functions want them: arrays, a list, a dict."""
    expected, arrange = signature(model)

    def packed(parts: list[Any]) -> Any:
        args, kwargs = arrange(parts)
        if kwargs or len(args) != 1:
            raise BridgeError(f"{model.name}: Keras trains models that take one argument; this one takes several.")
        return args[0]

    return [x[value.name] for value in expected], packed
