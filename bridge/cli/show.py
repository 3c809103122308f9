"""What more than one command prints."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def show_weights(rows: list[dict[str, Any]]) -> None:
    """Which Keras variable became which torch tensor, and how."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Keras", "torch", "how", "shape in torch"):
        table.add_column(column, overflow="fold")
    for row in rows:
        how = row["move"] if row["trainable"] else f"{row['move']}, not trained"
        table.add_row(row["keras"], row["torch"], how, " x ".join(map(str, row["torch_shape"])) or "scalar")
    console = Console()
    console.print(table)
    console.print(f"{len(rows)} Keras variables, each used exactly once.", highlight=False)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A moving sign on the terminal's stderr while something takes its time (TensorFlow needs seconds to start)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


def number(value: float | None) -> str:
    """An error; nothing where there is none, or it has no value."""
    return "" if value is None or math.isnan(value) else "0" if value == 0 else f"{value:.1e}"
