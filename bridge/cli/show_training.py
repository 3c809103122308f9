"""What a comparison of training found, on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from bridge.cli.show import number
from bridge.parity import TrainingReport

MOST_WEIGHTS = 40
PARTS_LATE = 50  # steps; a wrong update rule shows long before


def show(console: Console, report: TrainingReport) -> None:
    """Prints each weight's distance after the training, and what it comes to."""
    options = ", ".join(f"{key} {value}" for key, value in report.optimizer.items() if key != "name")
    with_options = f" ({options})" if options else ""
    console.print(f"Keras  {report.keras}\ntorch  {report.torch}", markup=False, soft_wrap=True)
    loss = report.loss_name if isinstance(report.loss_name, str) else ", ".join(report.loss_name.values())
    console.print(
        f"{report.steps:,} steps of {report.optimizer['name']}{with_options}, {loss}, "
        f"batches of {report.batch}: {report.inputs}.",
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("weight", overflow="fold")
    table.add_column("distance", justify="right")
    table.add_column("")
    rows = report.rows
    if len(rows) > MOST_WEIGHTS:
        rows = sorted(rows, key=lambda row: row.error, reverse=True)[:MOST_WEIGHTS]
    for row in rows:
        table.add_row(row.weight, number(row.error), "not trained" if row.state else "")
    console.print(table)
    if len(rows) < len(report.rows):
        console.print(f"The {len(rows)} farthest of {len(report.rows)} weights; --json lists them all.")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("all trained weights", number(report.trained), "relative L2 distance")
    if any(row.state for row in report.rows):
        facts.add_row("weights not trained", number(report.state), "moving statistics and frozen weights")
    facts.add_row("losses of a step", number(report.loss), "largest difference, relative to the largest loss")
    facts.add_row("way of the training", number(report.moved), "how far Keras's weights went")
    console.print(facts)
    if report.ok:
        console.print(f"Both train alike: {report.rtol:g} is allowed.")


def differences(report: TrainingReport) -> list[str]:
    """What a comparison that failed comes to, in a few lines."""
    if report.fault:
        return [f"The training differs: {report.fault}."]
    if report.moved == 0:
        return ["Nothing was trained: no weight moved in Keras, so this proves nothing."]
    worst = report.worst
    where = f", most in {worst.weight} ({number(worst.error)})" if worst else ""
    lines = [f"The training differs{where}: {report.rtol:g} is allowed."]
    if report.parted and report.parted > PARTS_LATE:
        lines.append(
            f"The losses agreed up to step {report.parted - 1}, then parted: so two right runs part by chance, where a "
            "ReLU's input is zero but for rounding.\n"
            "A wrong rule parts in the first steps. Try other data or fewer steps."
        )
    return lines
