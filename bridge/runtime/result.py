"""What an evaluation found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from bridge.runtime.metrics import Scores
from bridge.strict_json import finite_or_null


@dataclass(frozen=True)
class NotFinite:
    """NaN or infinity in an output: how many values, in how many rows, and the first such row."""

    output: str
    values: int
    rows: int
    first_row: int


@dataclass(frozen=True)
class Evaluation:
    """What a model did on data.

    provider: the one that the session really ran on; fell_back: why it is not the one asked for.
    seconds: inference alone, feeding included; total_seconds: with fitting the data and the metrics, without opening.
    scores: by output.
    """

    model: str
    data: str
    provider: str
    fell_back: str | None
    rows: int
    batch: int
    threads: int | None
    seconds: float
    total_seconds: float
    scores: dict[str, Scores]
    not_finite: list[NotFinite] = field(default_factory=list)
    class_names: tuple[str, ...] | None = None

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds

    @property
    def loss(self) -> float:
        """The sum over the outputs, as Keras has it."""
        return sum(scores.loss for scores in self.scores.values())

    @property
    def accuracy(self) -> float | None:
        return self._only().accuracy

    @property
    def top5(self) -> float | None:
        return self._only().top5

    def _only(self) -> Scores:
        if len(self.scores) > 1:
            raise ValueError(f"several outputs ({', '.join(self.scores)}): look into .scores")
        return next(iter(self.scores.values()))

    def as_json(self) -> Any:
        """Everything as JSON values; a loss that is no finite number is null."""
        values = dataclasses.asdict(self) | {"loss": self.loss, "rows_per_second": self.rows_per_second}
        return finite_or_null(values)
