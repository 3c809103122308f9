"""Targets as a loss wants them: class numbers, or rows of floats."""

from __future__ import annotations

import math

import numpy as np

from bridge.data.dataset import Array, Data
from bridge.data.fit import refuse_not_finite
from bridge.errors import BridgeError


def class_labels(source: Data | Array, classes: int | None = None, output: str | None = None) -> Array:
    """Class numbers, (rows,) int64, from integers or whole floats, (rows,) or (rows, 1), or from one-hot rows.

    classes: how many the model knows; None: any number from 0 on is taken.
    output: which targets, where the data has several.
    Raises BridgeError naming the first row whose label is no class number or out of range.
    """
    targets, where = _chosen(source, output)
    if targets.ndim > 1 and targets.shape[1:] != (1,):
        return _from_one_hot(targets, classes, where)
    values = targets.reshape(-1)
    if values.dtype.kind == "f":
        # beyond 2**53 a float64 can't hold every whole number; a NaN fails both tests
        bad = ~((values == np.rint(values)) & (np.abs(values) < 2.0**53))
        if bad.any():
            row = int(np.argmax(bad))
            raise BridgeError(f"{where}: the label in row {row} (from 0) is {values[row]}, expected a class number.")
    if values.size and values.min() < 0:
        row = int(np.argmax(values < 0))
        raise BridgeError(f"{where}: the label in row {row} (from 0) is {int(values[row])}; classes count from 0 on.")
    limit = classes if classes is not None else 2**31
    if values.size and values.max() >= limit:
        row = int(np.argmax(values >= limit))
        raise BridgeError(
            f"{where}: the label in row {row} (from 0) is {int(values[row])}; "
            f"the model has {limit} classes, 0 to {limit - 1}.\n"
            f"For a new head with more classes pass --classes {int(values.max()) + 1}."
        )
    return values.astype(np.int64)


def _from_one_hot(targets: Array, classes: int | None, where: str) -> Array:
    if targets.ndim != 2:
        raise BridgeError(f"{where}: a label is {targets.shape[1:]}; expected a class number or a one-hot row.")
    good = ((targets == 0) | (targets == 1)).all(axis=1) & (np.count_nonzero(targets, axis=1) == 1)
    if not good.all():
        row = int(np.argmin(good))
        raise BridgeError(f"{where}: row {row} (from 0) is not one-hot: expected a single 1 among zeros.")
    if classes is not None and targets.shape[1] != classes:
        raise BridgeError(
            f"{where}: one-hot rows of {targets.shape[1]} classes; the model has {classes} classes.\n"
            f"For a new head pass --classes {targets.shape[1]}."
        )
    labels: Array = np.argmax(targets, axis=1).astype(np.int64)
    return labels


def targets_for(source: Data | Array, units: int | tuple[int, ...], output: str | None = None) -> Array:
    """Targets of a regression or of several labels a row, (rows, *units) float32, C-contiguous.

    units: size of the model's output without the batch axis; (rows,) is taken for (rows, 1) and the other way round.
    Raises BridgeError if the sizes differ or a value is NaN, infinite or beyond float32.
    """
    targets, where = _chosen(source, output)
    wanted = (units,) if isinstance(units, int) else units
    found = targets.shape[1:]
    if found != wanted and not (math.prod(found) == math.prod(wanted) == 1):
        raise BridgeError(f"{where}: a target is {found or (1,)}; the model's output is {wanted}, without the rows.")
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(targets, np.float32).reshape(len(targets), *wanted)
    refuse_not_finite(floats, where)
    return floats


def _chosen(source: Data | Array, output: str | None) -> tuple[Array, str]:
    """The targets and what to call them in messages."""
    if not isinstance(source, Data):
        return source, "the targets"
    targets = source.targets
    if targets is None:
        raise BridgeError(f"{source.origin}: has no targets, and they are needed here.\nSave them as y, say.")
    if not isinstance(targets, dict):
        return targets, f"{source.origin}: y"
    if output is None and len(targets) == 1:
        output = next(iter(targets))
    if output not in targets:
        raise BridgeError(
            f"{source.origin}: no targets for the output {output!r}; it has them for {', '.join(targets)}."
        )
    return targets[output], f"{source.origin}: y_{output}"
