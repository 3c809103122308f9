"""Keras's losses in torch: its formulas, reductions and clipping; through logits where the network offers them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from bridge.errors import BridgeError

EPSILON = 1e-7  # keras.config.epsilon()
LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SPARSE, CATEGORICAL, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"
MSE, MAE = "mse", "mae"
ALIASES = {"mean_squared_error": MSE, "mean_absolute_error": MAE}
CROSS_ENTROPIES = (SPARSE, CATEGORICAL, BINARY)


def sparse_from_logits(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy; logits (..., classes), classes (...) int64."""
    if logits.dim() > 2:
        logits, classes = logits.flatten(0, -2), classes.flatten()
    return F.cross_entropy(logits, classes)


def sparse_from_output(output: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Keras clips the probabilities, takes their logarithm and treats that as logits."""
    return sparse_from_logits(output.clamp(EPSILON, 1 - EPSILON).log(), classes)


def categorical_from_logits(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy against `shares`, one-hot or soft, in the shape of the logits (..., classes)."""
    if logits.dim() > 2:
        logits, shares = logits.flatten(0, -2), shares.flatten(0, -2)
    return F.cross_entropy(logits, shares)


def categorical_from_output(output: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Keras makes each row sum to one before it clips."""
    output = (output / output.sum(-1, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    return -(shares * output.log()).sum(-1).mean()


def binary_from_output(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy of clipped probabilities."""
    output = output.clamp(EPSILON, 1 - EPSILON)
    return -(target * output.log() + (1 - target) * (1 - output).log()).mean()


FROM_LOGITS: dict[str, LossFunction] = {
    SPARSE: sparse_from_logits,
    CATEGORICAL: categorical_from_logits,
    BINARY: F.binary_cross_entropy_with_logits,
}
FROM_OUTPUT: dict[str, LossFunction] = {
    SPARSE: sparse_from_output,
    CATEGORICAL: categorical_from_output,
    BINARY: binary_from_output,
    MSE: F.mse_loss,
    MAE: F.l1_loss,
}


def known(name: str) -> str:
    """The loss's own name for `name` or an alias of it. Raises BridgeError if there is none."""
    name = ALIASES.get(name, name)
    if name not in FROM_OUTPUT:
        raise BridgeError(f"loss {name!r} is not known.\nChoose one of {', '.join(FROM_OUTPUT)}.")
    return name


def choose(final: str | None, shape: tuple[int, ...], target: np.ndarray) -> str:
    """The loss that fits a network that ends in `final` and gives `shape` (without the batch), for these targets."""
    if final == "sigmoid" or (final == "softmax" and shape[-1:] == (1,)):
        return BINARY
    if final == "softmax":
        return CATEGORICAL if target.shape[1:] == shape else SPARSE
    if shape[-1:] > (1,):  # neither: classes all the same, if the targets say so
        if target.shape[1:] == shape and _are_one_hot(target):
            return CATEGORICAL
        if target.shape[1:] in (shape[:-1], (*shape[:-1], 1)) and np.all(target == np.rint(target)):
            return SPARSE
    return MSE


def _are_one_hot(target: np.ndarray) -> bool:
    return bool(((target == 0) | (target == 1)).all() and (np.count_nonzero(target, axis=-1) == 1).all())


def are_logits(output: torch.Tensor, linear: bool) -> bool:
    """Whether a cross-entropy takes this output for logits: it ends in a linear map, or has no probabilities in it."""
    return linear or bool(((output < -1e-6) | (output > 1 + 1e-6)).any())


def through_logits(name: str, final: str | None) -> bool:
    """Whether Keras trains this loss on the final activation's input.

    It does so for each cross-entropy after each softmax or sigmoid, whether or not the two belong together.
    """
    return final in ("softmax", "sigmoid") and name in CROSS_ENTROPIES


def _outside(classes: np.ndarray, count: int) -> list[int]:
    """The index of the first that is no class number."""
    return [int(number) for number in np.argwhere((classes < 0) | (classes >= count))[0]]


def target_tensor(name: str, target: np.ndarray, shape: tuple[int, ...], origin: str = "the targets") -> torch.Tensor:
    """`target` as `name` wants it beside an output of `shape` (without the batch): int64 classes or float32 values.

    Raises BridgeError if the shape, the range or a value can't be right.
    """
    rows = len(target)
    if name == SPARSE:
        wanted = shape[:-1]
        if target.shape[1:] != wanted and target.shape[1:] != (*wanted, 1):
            way = f"For one-hot targets take {CATEGORICAL}."
            if target.shape[1:-1] == wanted and target.shape[-1] != shape[-1]:
                way = f"For one-hot targets of {target.shape[-1]} classes pass --classes {target.shape[-1]}."
            raise BridgeError(
                f"{origin}: {name} wants class numbers in the shape {(rows, *wanted)}, found {target.shape}.\n{way}"
            )
        classes = target.reshape(rows, *wanted).astype(np.int64)
        if (classes != target.reshape(classes.shape)).any():
            raise BridgeError(f"{origin}: {name} wants whole class numbers, found fractions. For values take mse.")
        if classes.size and (classes.min() < 0 or classes.max() >= shape[-1]):
            bad = int(np.flatnonzero(((classes < 0) | (classes >= shape[-1])).reshape(rows, -1).any(1))[0])
            way = "Give the network another head with --classes N, or mend the labels."
            if (classes.min(), classes.max()) == (1, shape[-1]):
                way = "They seem to count from 1: subtract 1 from them."
            if shape[-1] == 1:
                way = f"For one output take {BINARY}, or give the network another head with --classes N."
            where = "" if classes.ndim == 1 else f", position {', '.join(map(str, _outside(classes, shape[-1])[1:]))},"
            found = classes[tuple(_outside(classes, shape[-1]))]
            raise BridgeError(
                f"{origin}: row {bad}{where} has class {found}, the network has 0 to {shape[-1] - 1}.\n{way}"
            )
        return torch.from_numpy(np.ascontiguousarray(classes))
    if target.shape[1:] != shape and target.size == rows * int(np.prod(shape)) and 1 in (*shape, *target.shape[1:], 0):
        target = target.reshape(rows, *shape)  # (rows,) beside (rows, 1) and the other way round, as Keras does
    if target.shape[1:] != shape:
        raise BridgeError(
            f"{origin}: {name} wants the shape {(rows, *shape)}, that of the network's output, found {target.shape}.\n"
            "Give targets of that shape, or the network a head of another size with --classes N."
        )
    values = np.ascontiguousarray(target, np.float32)
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values).reshape(rows, -1).all(1))[0])
        raise BridgeError(f"{origin}: row {bad} holds NaN or infinity.\nFill such values or leave those rows out.")
    if name == CATEGORICAL and np.abs(values.sum(-1) - 1).max(initial=0) > 1e-3:
        raise BridgeError(f"{origin}: {name} wants rows that sum to 1 (one-hot).\nFor class numbers take {SPARSE}.")
    if name == BINARY and (values.min(initial=0) < 0 or values.max(initial=0) > 1):
        raise BridgeError(
            f"{origin}: {name} wants targets between 0 and 1, found {values.min():g} to {values.max():g}.\n"
            "Number the two classes 0 and 1, divide masks of 255 by it, or choose another loss with --loss."
        )
    return torch.from_numpy(values)
