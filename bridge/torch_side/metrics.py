"""The metric that Keras calls "accuracy", by the same rules, and means over an epoch kept off the training's way."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bridge.torch_side.losses import BINARY, CATEGORICAL, SPARSE

Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def accuracy_for(loss: str, shape: tuple[int, ...]) -> tuple[str, Metric] | None:
    """Name and function of the accuracy that goes with `loss` for outputs of `shape`; None where there are no classes.

    The function takes (output, target) and returns, for each row, the share that is right. Logits of a softmax
    serve as its output where the highest class is asked for.
    """
    if loss == SPARSE and shape[-1] > 1:
        return "accuracy", lambda prediction, target: _share(prediction.argmax(-1) == target)
    if loss == CATEGORICAL and shape[-1] > 1:
        return "accuracy", lambda prediction, target: _share(prediction.argmax(-1) == target.argmax(-1))
    if loss == BINARY:
        # Keras's "accuracy" compares the highest class if there are several; each label for itself is meant here
        return "accuracy" if shape[-1] == 1 else "binary_accuracy", binary
    return None


def binary(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Share of labels on the right side of one half, for each row."""
    return _share((prediction > 0.5) == (target > 0.5))


def _share(right: torch.Tensor) -> torch.Tensor:
    return right.reshape(len(right), -1).to(torch.float64 if right.device.type != "mps" else torch.float32).mean(1)


class Running:
    """Means over an epoch's rows of loss and accuracy, and each step's loss; computed in chunks, not at each step."""

    def __init__(self, accuracy: Metric | None, chunk: int = 64):
        self.accuracy, self.chunk = accuracy, chunk
        self.losses: list[float] = []
        self._rows = self._loss = self._right = 0.0
        self._waiting: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def add(self, loss: torch.Tensor, prediction: torch.Tensor, target: torch.Tensor) -> bool:
        """Takes a step's loss (a batch mean) and its batch; True if a chunk has just been computed."""
        self._waiting.append((loss.detach(), prediction.detach(), target))
        if len(self._waiting) < self.chunk:
            return False
        self.compute()
        return True

    def compute(self) -> None:
        """Computes what is waiting."""
        if not self._waiting:
            return
        losses, predictions, targets = zip(*self._waiting, strict=True)
        values = torch.stack(losses).tolist()
        self.losses += values
        self._loss += sum(value * len(target) for value, target in zip(values, targets, strict=True))
        self._rows += sum(len(target) for target in targets)
        if self.accuracy is not None:
            self._right += float(self.accuracy(torch.cat(predictions), torch.cat(targets)).sum())
        self._waiting.clear()

    def means(self) -> tuple[float, float | None]:
        """(loss, accuracy or None), each row with the same weight, the last partial batch included."""
        self.compute()
        return self._loss / self._rows, None if self.accuracy is None else self._right / self._rows
