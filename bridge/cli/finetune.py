"""bridge finetune: train a converted network on the user's data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.options import data_options, force_option, optimizer_option, rules_option, seed_option
from bridge.cli.options import optimizer as read_optimizer

if TYPE_CHECKING:
    from bridge.torch_side.training.finetune import Finetuned


@click.command("finetune")
@click.argument("model")
@data_options("train")
@click.option("-o", "--output", required=True, metavar="DIR")
@click.option(
    "--transfer",
    type=click.Choice(["parameters", "features", "structure"]),
    default="parameters",
    show_default=True,
    help="Begin with all weights; the same with all but the head frozen; or the architecture alone, fresh weights.",
)
@click.option(
    "--freeze", multiple=True, metavar="PATTERN", help="Layers or parameters to keep as they are: dense_1, dense*."
)
@click.option("--classes", type=int, help="Put a new head with so many outputs in the old one's place.")
@click.option("--validation", default="0.1", show_default=True, help="Fraction to hold out, other data, or none.")
@optimizer_option
@click.option("--learning-rate", type=float, help="By default the optimizer's own in Keras.")
@click.option("--loss", help="By default chosen by the targets and the final activation.")
@click.option("--epochs", type=int, default=10, show_default=True)
@click.option("--batch", type=int, default=32, show_default=True)
@seed_option("Of the rows' order, of held-out rows and of fresh weights.")
@click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")
@rules_option
@click.option("--resume", is_flag=True, help="Go on with an interrupted (or finished) run to the same output.")
@force_option
def command(model: str, data: str, output: str, optimizer: str, validation: str, **options: Any) -> None:
    """Train MODEL (a bridge folder or a layered .onnx file) on DATA and write the result to DIR.

    The training is Keras's: its update formulas, losses, defaults. The best epoch's weights are kept; DIR also gets
    history.csv.
    """
    from bridge.api import finetune

    with progress(options["epochs"]) as report:
        result = finetune(
            model,
            data,
            output,
            optimizer=read_optimizer(optimizer),
            validation=_validation(validation),
            **options,
            **report,
        )
    _show(result, output)


def _validation(text: str) -> float | str | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        return text


@contextlib.contextmanager
def progress(epochs: int) -> Iterator[dict[str, Any]]:
    """One line an epoch, and a bar for the running one where stdout is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(f"epoch 1 of {epochs}", total=None)

        def on_epoch(row: dict[str, float]) -> None:
            bar.console.print(line(row, epochs), highlight=False, soft_wrap=True)
            bar.update(task, description=f"epoch {int(row['epoch']) + 1} of {epochs}", completed=0)

        yield {"on_epoch": on_epoch, "on_step": lambda done, steps: bar.update(task, completed=done, total=steps)}


def line(row: dict[str, float], epochs: int) -> str:
    """An epoch's metrics in one line."""
    values = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "epoch")
    return f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}  {values}"


def _show(result: Finetuned, output: str) -> None:
    trained = sum(p.numel() for p in result.module.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in result.module.parameters() if not p.requires_grad)
    kept = result.history.rows[result.history.best - 1]
    click.echo(
        f"{output}: epoch {result.history.best} kept (loss {kept['loss']:.4f}"
        + (f", val_loss {kept['val_loss']:.4f}" if "val_loss" in kept else "")
        + f"). {result.rows:,} rows trained {trained:,} parameters, {frozen:,} stayed frozen."
    )
