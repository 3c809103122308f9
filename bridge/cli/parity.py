"""bridge parity: do these files compute the same?"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.options import data_options, json_option, keras_options, optimizer_option, seed_option
from bridge.cli.options import optimizer as read_optimizer
from bridge.errors import BridgeError, CheckFailed

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.parity import Report, TrainingReport


@click.command("parity")
@click.argument("files", nargs=-1, required=True)
@keras_options
@data_options("test", optional="Run on this, not on random rows: ")
@click.option(
    "--rows",
    type=int,
    help="How many rows. By default 64 random ones (fewer of large ones), or the first 256 of the data.",
)
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

    from bridge.cli import show_comparison, show_training
    from bridge.parity import compare, compare_training

    shown: Any = show_comparison if train_steps is None else show_training
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
    else:
        shown.show(Console(highlight=False), result)
    if not result.ok:
        raise CheckFailed("\n".join(shown.differences(result)))


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
