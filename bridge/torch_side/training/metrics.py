"""The metric that Keras calls "accuracy", by the same rules, and means over an epoch kept off the training's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from bridge.torch_side.training.losses import BINARY, CATEGORICAL, SPARSE

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
    """Means over an epoch's rows of loss and accuracies, and each step's loss; computed in chunks, not at each step.

    accuracies: name -> (the output's number, its metric).
    """

    def __init__(self, accuracies: dict[str, tuple[int, Metric]], chunk: int = 64):
        self.accuracies, self.chunk = accuracies, chunk
        self.losses: list[float] = []
        self._rows = self._loss = 0.0
        self._right = dict.fromkeys(accuracies, 0.0)
        self._waiting: list[tuple[torch.Tensor, list[torch.Tensor], Sequence[torch.Tensor]]] = []

    def add(self, loss: torch.Tensor, predictions: list[torch.Tensor], targets: Sequence[torch.Tensor]) -> bool:
        """Takes a step's loss (a batch mean) and its batch, by output; True if a chunk has just been computed."""
        self._waiting.append((loss.detach(), [prediction.detach() for prediction in predictions], targets))
        if len(self._waiting) < self.chunk:
            return False
        self.compute()
        return True

    def compute(self) -> None:
        """Computes what is waiting."""
        if not self._waiting:
            return
        losses, predictions, targets = zip(*self._waiting, strict=True)
        values, rows = torch.stack(losses).tolist(), [len(columns[0]) for columns in targets]
        self.losses += values
        self._loss += sum(value * count for value, count in zip(values, rows, strict=True))
        self._rows += sum(rows)
        for name, (output, accuracy) in self.accuracies.items():
            predicted, wanted = (torch.cat([columns[output] for columns in c]) for c in (predictions, targets))
            self._right[name] += float(accuracy(predicted, wanted).sum())
        self._waiting.clear()

    def means(self) -> dict[str, float]:
        """{"loss": ..., "accuracy": ...}, each row with the same weight, the last partial batch included."""
        self.compute()
        return {"loss": self._loss / self._rows} | {name: right / self._rows for name, right in self._right.items()}
