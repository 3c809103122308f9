"""What each epoch gave, and the file that keeps it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from bridge.files import whole_file


@dataclass
class History:
    """One row for each epoch: {"epoch": 1, "loss": ..., "accuracy": ..., "val_loss": ..., "val_accuracy": ...}.

    best: number of the epoch whose weights were kept (lowest val_loss, without validation lowest loss).
    seconds: wall clock of each epoch of this run; a resumed run has none for the epochs before it.
    losses: loss of each step of this run, before the step. settings: what the run was asked to do.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)

    def as_csv(self) -> str:
        """The rows as CSV, a header first; the best epoch has 1 in the column `best`."""
        columns = [*dict.fromkeys(key for row in self.rows for key in row), "best"]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow(row | {"best": int(row["epoch"] == self.best)})
        return text.getvalue()

    def write_csv(self, path: str | Path, force: bool = False) -> None:
        """Writes `as_csv` to a file, whole."""
        with whole_file(path, force) as part:
            part.write_text(self.as_csv(), encoding="ascii")
