"""Which loss and metrics fit an output and its targets."""

from __future__ import annotations

import numpy as np

from bridge.data import Data, class_labels, targets_for
from bridge.errors import BridgeError
from bridge.runtime.metrics import Binary, Categorical, Regression, Scorer

LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy", "mse", "mae")


def scorer_for(data: Data, name: str, sample: np.ndarray, activation: str, loss: str | None) -> Scorer:
    """The scorer for the output `name`.

    sample: some rows of the output, (rows, ..., classes): its shape, and whether its values can be probabilities.
    loss: one of LOSSES, or None: by targets and final activation. Whole numbers for several outputs are classes,
        one-hot rows too; 0 and 1 for sigmoids are binary; all else is a regression.
    Raises BridgeError if the targets don't fit the output.
    """
    targets = data.targets[name] if isinstance(data.targets, dict) else data.targets
    assert targets is not None
    shape = sample.shape[1:] or (1,)
    loss = loss or _choose(data.origin, name, targets, shape, activation, _in_unit_interval(sample))
    logits = activation == "linear" or (activation == "unknown" and not _in_unit_interval(sample))
    if loss in ("mse", "mae"):
        return Regression(loss, targets_for(data, shape, name))
    if loss == "binary_crossentropy":
        return Binary(loss, _zero_to_one(data, targets_for(data, shape, name)), logits)
    if shape[-1] < 2:
        raise BridgeError(f"--loss {loss}: needs one output for each class, {name} has {shape[-1]}.")
    form = "softmax" if activation == "softmax" else "logits" if logits else "probabilities"
    distribution = None
    if loss == "categorical_crossentropy":
        distribution = targets_for(data, shape, name)
        labels = distribution.argmax(axis=-1)
    elif targets.shape == (len(data), *shape) and len(shape) > 1:
        labels = class_labels(targets.reshape(-1, shape[-1]), shape[-1]).reshape(len(data), *shape[:-1])
    elif len(shape) > 1:
        labels = _labels_of_steps(data, name, targets, shape)
    else:
        labels = class_labels(data, shape[-1], name)
    return Categorical(loss, labels, distribution, shape[-1], form)


def _choose(origin: str, name: str, targets: np.ndarray, shape: tuple[int, ...], activation: str, unit: bool) -> str:
    whole = targets.dtype.kind in "iub" or bool(np.all(targets == np.rint(targets)))
    binary = whole and bool(np.all((targets == 0) | (targets == 1)))
    if activation == "sigmoid" and binary and targets.shape[1:] == shape:
        return "binary_crossentropy"  # as finetune chooses, also where each row happens to have one 1
    if shape[-1] == 1:
        squashed = activation == "sigmoid" or (activation == "unknown" and unit)
        return "binary_crossentropy" if binary and squashed else "mse"
    if targets.shape[1:] == shape:
        sums_to_one = bool(np.allclose(targets.sum(axis=-1), 1, atol=1e-4))
        if sums_to_one and (binary or activation == "softmax"):
            return "categorical_crossentropy"
        return "binary_crossentropy" if binary and activation == "sigmoid" else "mse"
    if targets.ndim == 2 and targets.shape[1] > 1 and len(shape) == 1:
        raise BridgeError(
            f"{origin}: a target is {targets.shape[1]} values, the model's output {name} is {shape[0]} values.\n"
            "Give the data that the model was made for."
        )
    if not whole:
        raise BridgeError(
            f"{origin}: the targets are not whole numbers, and the model's output {name} is {shape[-1]} classes.\n"
            "Give class numbers, or the data that the model was made for."
        )
    return "sparse_categorical_crossentropy"


def _labels_of_steps(data: Data, name: str, targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Class numbers where a row has several: (rows, steps)."""
    wanted = (len(data), *shape[:-1])
    if targets.size != np.prod(wanted):
        raise BridgeError(
            f"{data.origin}: the targets are {targets.shape}; the model's output {name} wants {wanted} class numbers."
        )
    return class_labels(targets.reshape(-1), shape[-1]).reshape(wanted)


def _zero_to_one(data: Data, targets: np.ndarray) -> np.ndarray:
    outside = (targets < 0) | (targets > 1)
    if outside.any():
        row = int(np.argwhere(outside)[0][0])
        raise BridgeError(
            f"{data.origin}: the target in row {row} (from 0) is {targets[outside][0]:g}; "
            "binary_crossentropy wants values from 0 to 1.\nChoose another loss with --loss."
        )
    return targets


def _in_unit_interval(sample: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return not bool(np.any((sample < -1e-6) | (sample > 1 + 1e-6)))
