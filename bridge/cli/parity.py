"""bridge parity: do these files compute the same?"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.options import data_options, json_option, keras_options, optimizer_option, seed_option
from bridge.cli.options import optimizer as read_optimizer
from bridge.errors import BridgeError, CheckFailed

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.parity import Report, TrainingReport

MOST_LAYERS = 40  # rows of the table of layers; --json has them all
COLUMNS = 5  # files beside each other in it
MOST_WEIGHTS = 40
PARTS_LATE = 50  # steps; a wrong update rule shows long before


@click.command("parity")
@click.argument("files", nargs=-1, required=True)
@keras_options
@data_options("test", optional="Run on this, not on random rows: ")
@click.option("--rows", type=int, help="How many rows. By default 64 random ones, or the first 256 of the data.")
@seed_option("Of the random inputs.")
@click.option("--rtol", type=float, default=1e-5, show_default=True, help="The largest error that passes.")
@click.option("--layers/--no-layers", default=True, show_default=True, help="Compare layer by layer too.")
@click.option("--train-steps", type=int, metavar="N", help="Train for N batches in Keras and torch; compare weights.")
@optimizer_option
@click.option("--learning-rate", type=float, help="By default Keras's.")
@click.option("--batch", type=int, default=32, show_default=True, help="Rows of a training step.")
@click.option("--loss", help="By default chosen by the final activation.")
@json_option
def command(
    files: tuple[str, ...],
    rows: int | None,
    layers: bool,
    train_steps: int | None,
    optimizer: str,
    learning_rate: float | None,
    batch: int,
    loss: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare what FILES compute: Keras files, .onnx files and bridge folders, each beside the first.

    A folder counts twice, as its torch module and its model.onnx. Each framework runs in a process of its own. The
    error is the largest difference divided by the largest value of the first file's output; exit code 1 if it is
    above --rtol, or if a value is NaN or infinite.

    With --train-steps: one Keras file and one bridge folder are trained on the same batches.
    """
    _refuse_idle(train_steps is not None)
    from rich.console import Console

    from bridge.parity import compare, compare_training

    with _telling(Console(stderr=True)) as progress:
        if train_steps is None:
            result: Report | TrainingReport = compare(files, rows=rows, layers=layers, progress=progress, **options)
        else:
            result = compare_training(
                files,
                steps=train_steps,
                optimizer=read_optimizer(optimizer),
                learning_rate=learning_rate,
                loss=loss,
                batch=batch,
                progress=progress,
                **options,
            )
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2, allow_nan=False))
    elif train_steps is None:
        show(Console(highlight=False), result)  # type: ignore[arg-type]
    else:
        show_training(Console(highlight=False), result)  # type: ignore[arg-type]
    if not result.ok:
        raise CheckFailed(verdict(result))


def _refuse_idle(training: bool) -> None:
    """Refuses options that the other kind of comparison has: nothing is left out in silence."""
    context = click.get_current_context()
    for option in ("rows", "layers") if training else ("optimizer", "learning_rate", "batch", "loss"):
        if context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE:
            name = "--no-layers" if option == "layers" else f"--{option.replace('_', '-')}"
            if training:
                raise BridgeError(f"{name} is for comparing outputs: leave out {name} or --train-steps.")
            raise BridgeError(f"{name} is for --train-steps N: pass that too, or leave out {name}.")


@contextlib.contextmanager
def _telling(console: Console) -> Iterator[Callable[[str], None]]:
    """One line on the terminal's stderr that says what runs now."""
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("starting the frameworks") as status:
        yield lambda text: status.update(text)


def show(console: Console, report: Report) -> None:
    """Prints the files, their outputs, their layers, and what it comes to."""
    from rich.markup import escape

    for file in report.files:
        form = "" if file.form == "Keras file" or file.framework == "PyTorch" else f", {file.form}"
        line = f"{file.letter}  {escape(file.path)}  [dim]{file.framework}{form}[/dim]"
        console.print(line, soft_wrap=True)
    console.print(f"[dim]{escape(report.inputs)}; each file beside {report.files[0].letter}.[/dim]", soft_wrap=True)
    if report.reference:
        console.print(f"[dim]Reference: {escape(report.reference)}.[/dim]", soft_wrap=True)
    _show_outputs(console, report)
    _show_layers(console, report)
    for note in report.notes:
        console.print(note, markup=False)
    if report.ok:
        seen = max(row.error for row in report.rows)
        allowed = f"{report.rtol:g} is allowed"
        if any(row.cause for row in report.rows):
            allowed += f", and rounding: {report.files[0].letter} itself is that far from its float64"
        console.print(f"All agree: the largest error is {_number(seen) or '0'}; {allowed}.")


def _show_outputs(console: Console, report: Report) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("output", overflow="fold")
    table.add_column("error", justify="right")
    if report.reference:
        table.add_column("from float64", justify="right")
    table.add_column("", overflow="fold")
    for row in report.rows:
        error = "" if row.file == report.files[0].letter else _number(row.error)
        distance = [_number(row.distance)] if report.reference else []
        word = ("rounding" if row.cause else "ok") if row.ok else row.fault or "DIFFERS"
        table.add_row(row.file, row.output, error, *distance, word, style=None if row.ok else "red")
    for file in report.files:
        if file.fault:
            table.add_row(file.letter, "", "", *([""] if report.reference else []), file.fault, style="red")
    console.print(table)


def _show_layers(console: Console, report: Report) -> None:
    from rich import box
    from rich.table import Table

    from bridge.graph import BODIES

    letters = list(dict.fromkeys(layer.file for layer in report.layers))[:COLUMNS]
    if not letters:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("kind")
    for letter in letters:
        table.add_column(f"error of {letter}", justify="right")
    by_layer: dict[str, dict[str, Any]] = {}
    for layer in report.layers:
        by_layer.setdefault(layer.layer, {})[layer.file] = layer
    # operators between the layers are shown where they differ
    names = [
        n
        for n, found in by_layer.items()
        if any(r.kind in BODIES or ">" in r.kind or not (r.kind and r.ok) for r in found.values())
    ]
    shown = names if len(names) <= MOST_LAYERS else _around(names, report)
    for name in shown:
        found = by_layer[name]
        kind = next(layer.kind for layer in found.values())
        cells = [_cell(found.get(letter)) for letter in letters]
        table.add_row(name, kind, *cells, style=None if all(layer.ok for layer in found.values()) else "red")
    console.print(table)
    if len(shown) < len(names):
        console.print(f"{len(shown)} of {len(names)} layers; --json lists them all.")
    if len(names) < len(by_layer):
        console.print(f"The {len(by_layer) - len(names)} operators between the layers agree too.", highlight=False)


def _around(names: list[str], report: Report) -> list[str]:
    """As many layers as the table takes, with the first that differs among them."""
    first = report.first_difference
    start = max(0, names.index(first.layer) - MOST_LAYERS // 2) if first else 0
    return names[start : start + MOST_LAYERS]


def _cell(layer: Any) -> str:
    if layer is None:
        return ""
    return layer.fault.split(" ")[0] if layer.fault else _number(layer.error)  # "NaN", "shape", "type"


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else "0" if value == 0 else f"{value:.1e}"


def verdict(report: Report | TrainingReport) -> str:
    """What a comparison that failed comes to, in a few lines."""
    from bridge.parity import Report

    return "\n".join(_differences(report) if isinstance(report, Report) else _training_differences(report))


def _differences(report: Report) -> list[str]:
    lines = []
    for file in report.files:
        bad = [row for row in report.rows if row.file == file.letter and not row.ok]
        layers = report.differing(file.letter)
        where = ""
        if layers:
            kind = f" ({layers[0].kind})" if layers[0].kind else ""
            where = f", first in the layer {layers[0].layer}{kind}"
        if file.fault:
            lines.append(f"{file.letter} can't be run on the same inputs: {file.fault}.")
        elif bad:
            reason = bad[0].fault or f"by {_number(bad[0].error)}, {report.rtol:g} is allowed"
            lines.append(f"{file.letter} differs in the output {bad[0].output}{where}: {reason}.")
    return lines


def show_training(console: Console, report: TrainingReport) -> None:
    """Prints each weight's distance after the training, and what it comes to."""
    from rich import box
    from rich.table import Table

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
        table.add_row(row.weight, _number(row.error), "not trained" if row.state else "")
    console.print(table)
    if len(rows) < len(report.rows):
        console.print(f"The {len(rows)} farthest of {len(report.rows)} weights; --json lists them all.")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("all trained weights", _number(report.trained), "relative L2 distance")
    if any(row.state for row in report.rows):
        facts.add_row("weights not trained", _number(report.state), "moving statistics and frozen weights")
    facts.add_row("losses of a step", _number(report.loss), "largest difference, relative to the largest loss")
    facts.add_row("way of the training", _number(report.moved), "how far Keras's weights went")
    console.print(facts)
    if report.ok:
        console.print(f"Both train alike: {report.rtol:g} is allowed.")


def _training_differences(report: TrainingReport) -> list[str]:
    if report.fault:
        return [f"The training differs: {report.fault}."]
    if report.moved == 0:
        return ["Nothing was trained: no weight moved in Keras, so this proves nothing."]
    worst = report.worst
    where = f", most in {worst.weight} ({_number(worst.error)})" if worst else ""
    lines = [f"The training differs{where}: {report.rtol:g} is allowed."]
    if report.parted and report.parted > PARTS_LATE:
        lines.append(
            f"The losses agreed up to step {report.parted - 1}, then parted: so two right runs part by chance, where a "
            "ReLU's input is zero but for rounding.\n"
            "A wrong rule parts in the first steps. Try other data or fewer steps."
        )
    return lines
