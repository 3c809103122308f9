"""bridge eval: metrics and throughput with ONNX Runtime."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from bridge.cli.options import data_options, json_option

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.runtime import Evaluation
    from bridge.runtime.metrics import Scores

MOST_CLASSES = 50  # rows of the per-class table; --json has them all


@click.command("eval")
@click.argument("model")
@data_options("test")
@click.option("--provider", default="cpu", show_default=True, help="cpu, cuda, tensorrt, directml, coreml ...")
@click.option("--fallback", metavar="PROVIDER", help="What to use where no session can use --provider, such as cpu.")
@click.option("--batch", type=int, help="Rows in a call. By default chosen by the size of a row.")
@click.option("--threads", type=int, help="CPU threads. By default one for each core.")
@click.option("--loss", help="By default chosen by the targets and the final activation.")
@json_option
def command(
    model: str,
    data: str,
    part: str,
    label: str,
    scale: float | None,
    provider: str,
    fallback: str | None,
    batch: int | None,
    threads: int | None,
    loss: str | None,
    as_json: bool,
) -> None:
    """Evaluate MODEL (a bridge folder or an .onnx file) with ONNX Runtime.

    Prints loss, accuracy, a table of the classes, rows per second, and the provider that was really used.
    """
    from rich.console import Console

    from bridge.data import read
    from bridge.runtime import evaluate

    rows = read(data, label=label, part=part)
    with _progress(Console(stderr=True)) as progress:
        result = evaluate(
            model,
            rows,
            provider=provider,
            fallback=fallback,
            batch=batch,
            threads=threads,
            loss=loss,
            scale=scale,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2, allow_nan=False))
    else:
        _show(Console(), result)


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal's stderr that appears where the evaluation takes over a second."""
    import time

    from rich.progress import Progress

    start = time.monotonic()
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("evaluating")

    def report(done: int, rows: int) -> None:
        if time.monotonic() - start > 1:
            bar.start()
            bar.update(task, completed=done, total=rows)

    try:
        yield report
    finally:
        bar.stop()


def _show(console: Console, result: Evaluation) -> None:
    console.print(f"{result.model} on {result.data}", markup=False, highlight=False, soft_wrap=True)
    facts = [("provider", result.provider), ("rows", f"{result.rows:,} in batches of {result.batch:,}")]
    if result.fell_back is not None:
        facts.insert(1, ("fallback", f"yes, because {result.fell_back}"))
    for name, scores in result.scores.items():
        prefix = f"{name}: " if len(result.scores) > 1 else ""
        facts += [(prefix + title, value) for title, value in _metrics(scores)]
    if len(result.scores) > 1:
        facts.append(("loss of all", f"{result.loss:.6g}"))
    inference = f"{result.rows_per_second:,.0f} rows/s in inference ({result.seconds:.3g} s)"
    facts.append(("speed", f"{inference}, {result.total_seconds:.3g} s in all"))
    facts += [
        (
            "NOT FINITE",
            f"{n.values:,} values of {n.output} in {n.rows:,} rows are NaN or infinite, first row {n.first_row}",
        )
        for n in result.not_finite
    ]
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for fact in facts:
        table.add_row(*fact)
    console.print(table, markup=False)
    for name, scores in result.scores.items():
        if scores.classes:
            _show_classes(console, name if len(result.scores) > 1 else None, scores, result.class_names)


def _metrics(scores: Scores) -> list[tuple[str, str]]:
    named = [("loss", f"{scores.loss:.6g} ({scores.loss_name})")]
    if scores.accuracy is not None:
        named.append(("accuracy", f"{scores.accuracy:.4f}"))
    if scores.top5 is not None:
        named.append(("top-5", f"{scores.top5:.4f}"))
    if scores.mae is not None and scores.loss_name != "mae":
        named.append(("mae", f"{scores.mae:.6g}"))
    return named


def _show_classes(console: Console, output: str | None, scores: Scores, names: tuple[str, ...] | None) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=output, padding=(0, 1))
    table.add_column("class")
    for title in ("rows", "precision", "recall", "f1"):
        table.add_column(title, justify="right")
    for row in scores.classes[:MOST_CLASSES]:
        named = names is not None and len(names) == len(scores.classes)
        label = f"{row.label} {names[row.label]}" if named and names else str(row.label)
        table.add_row(label, f"{row.support:,}", f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}")
    console.print(table)
    if len(scores.classes) > MOST_CLASSES:
        console.print(f"... and {len(scores.classes) - MOST_CLASSES} more classes: --json lists them all.")
