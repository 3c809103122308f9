"""Losses and classification metrics of one output, added up batch by batch with numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

EPSILON = np.float32(1e-7)  # keras.config.epsilon()
TINY = np.finfo(np.float32).tiny
TOP = 5
NONE = -1  # predicted for a row with NaN, which is no class


@dataclass(frozen=True)
class ClassRow:
    """One class: how many rows have it, and precision, recall and f1 of predicting it (0 where undefined)."""

    label: int
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """What one output is worth; a metric that makes no sense for its loss is None."""

    loss_name: str
    loss: float
    accuracy: float | None = None
    top5: float | None = None
    mae: float | None = None
    classes: list[ClassRow] = field(default_factory=list)


class Scorer(Protocol):
    def update(self, output: np.ndarray, rows: slice) -> None: ...
    def result(self) -> Scores: ...


class Categorical:
    """Cross-entropy of classes on the last axis, accuracy, top 5, and a row for each class.

    labels: (rows, ...) int64; weights: None, or the target distribution (rows, ..., classes).
    form: what the outputs are. "softmax": as Keras, which takes the loss of a final softmax from its logits, so no
    probability is clipped; "probabilities": clipped at 1e-7 and normalised, as Keras does; "logits".
    """

    def __init__(self, name: str, labels: np.ndarray, weights: np.ndarray | None, classes: int, form: str):
        self.name, self.labels, self.weights, self.classes, self.form = name, labels, weights, classes, form
        self._loss = 0.0
        self._in_top = 0
        self._predicted = np.empty(labels.shape, np.int64)
        self._ones = np.ones(classes, np.float32)

    def update(self, output: np.ndarray, rows: slice) -> None:
        flat = output.reshape(-1, self.classes)
        labels = self.labels[rows].reshape(-1)
        predicted = flat.argmax(axis=1)
        each = np.arange(len(flat))
        predicted[np.isnan(flat[each, predicted])] = NONE  # argmax takes a NaN for the highest
        self._predicted[rows] = predicted.reshape(self._predicted[rows].shape)
        picked = flat[each, labels]
        if self.classes > TOP:
            # how many classes stand above the true one; a NaN stands above nothing, so it is kept out by itself
            above = (flat > picked[:, None]).astype(np.float32) @ self._ones
            self._in_top += int(np.count_nonzero((above < TOP) & ~np.isnan(picked)))
        self._loss += float(self._losses(flat, labels, picked, rows).sum(dtype=np.float64))

    def _losses(self, flat: np.ndarray, labels: np.ndarray, picked: np.ndarray, rows: slice) -> np.ndarray:
        logs: np.ndarray  # of the probability of the true class, one for each row
        if self.weights is not None:
            logs = (self.weights[rows].reshape(-1, self.classes) * self._logs(flat)).sum(axis=1)
        elif self.form == "softmax":
            logs = np.log(np.maximum(picked, TINY))
        else:
            logs = self._logs(flat)[np.arange(len(flat)), labels]
        return -logs

    def _logs(self, flat: np.ndarray) -> np.ndarray:
        logs: np.ndarray
        if self.form == "logits":
            shifted = flat - flat.max(axis=1, keepdims=True)
            logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        elif self.form == "softmax":
            logs = np.log(np.maximum(flat, TINY))
        elif self.weights is not None:  # Keras normalises first here, and last for integer labels
            logs = np.log(np.clip(flat / flat.sum(axis=1, keepdims=True), EPSILON, 1 - EPSILON))
        else:
            clipped = np.clip(flat, EPSILON, 1 - EPSILON)
            logs = np.log(clipped / clipped.sum(axis=1, keepdims=True))
        return logs

    def result(self) -> Scores:
        labels, predicted = self.labels.reshape(-1), self._predicted.reshape(-1)
        return Scores(
            self.name,
            self._loss / len(labels),
            accuracy=float(np.mean(labels == predicted)),
            top5=self._in_top / len(labels) if self.classes > TOP else None,
            classes=class_rows(labels, predicted, self.classes),
        )


class Binary:
    """Binary cross-entropy and accuracy at the threshold 0.5; of a single unit also a row for each of both classes.

    targets: (rows, ..., units) of values from 0 to 1; logits: the outputs come before the sigmoid.
    """

    def __init__(self, name: str, targets: np.ndarray, logits: bool):
        self.name, self.targets, self.logits = name, targets, logits
        self._loss = 0.0
        self._predicted = np.empty(targets.shape, bool)

    def update(self, output: np.ndarray, rows: slice) -> None:
        target = self.targets[rows]
        output = output.reshape(target.shape)
        self._predicted[rows] = output > (0 if self.logits else 0.5)
        if self.logits:
            losses = np.maximum(output, 0) - output * target + np.log1p(np.exp(-np.abs(output)))
        else:
            p = np.clip(output, EPSILON, 1 - EPSILON)
            losses = -(target * np.log(p) + (1 - target) * np.log(1 - p))
        self._loss += float(losses.sum(dtype=np.float64))

    def result(self) -> Scores:
        true = self.targets > 0.5
        single = self.targets.shape[-1] == 1
        return Scores(
            self.name,
            self._loss / self.targets.size,
            accuracy=float(np.mean(true == self._predicted)),
            classes=class_rows(true.reshape(-1) * 1, self._predicted.reshape(-1) * 1, 2) if single else [],
        )


class Regression:
    """Mean squared and mean absolute error. targets: (rows, ...) in the output's shape."""

    def __init__(self, name: str, targets: np.ndarray):
        self.name, self.targets = name, targets
        self._squared = self._absolute = 0.0

    def update(self, output: np.ndarray, rows: slice) -> None:
        target = self.targets[rows]
        off = output.reshape(target.shape).astype(np.float64) - target
        self._squared += float(np.square(off).sum())
        self._absolute += float(np.abs(off).sum())

    def result(self) -> Scores:
        mae = self._absolute / self.targets.size
        return Scores(self.name, mae if self.name == "mae" else self._squared / self.targets.size, mae=mae)


def class_rows(labels: np.ndarray, predicted: np.ndarray, classes: int) -> list[ClassRow]:
    """Support, precision, recall and f1 of each class. labels, predicted: (rows,) int64 below `classes`."""
    support = np.bincount(labels, minlength=classes)
    chosen = np.bincount(predicted[predicted != NONE], minlength=classes)
    right = np.bincount(labels[labels == predicted], minlength=classes)
    precision, recall, f1 = (
        np.divide(a, b, out=np.zeros(classes), where=b > 0)
        for a, b in ((right, chosen), (right, support), (2 * right, chosen + support))
    )
    return [ClassRow(i, int(support[i]), float(precision[i]), float(recall[i]), float(f1[i])) for i in range(classes)]
