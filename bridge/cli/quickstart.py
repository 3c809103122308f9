"""bridge quickstart: the whole way on real data, as a list of the commands that anyone can type."""

from __future__ import annotations

import shlex
import sys
import sysconfig
import time
from pathlib import Path

import click

EPOCHS = 5
DATA = ["--data", "digits", "--scale", "255"]


@click.command("quickstart")
@click.option("-o", "--output", default="bridge-quickstart", show_default=True, metavar="DIR")
@click.option("--force", is_flag=True, help="Replace what an earlier quickstart left in DIR.")
def command(output: str, force: bool) -> None:
    """From a Keras MLP's pretrained_model.h5 to a fine-tuned, exported, evaluated and proven network.

    The network was trained on clothes (Fashion-MNIST); it learns scikit-learn's handwritten digits here. Nothing is
    downloaded.
    """
    from bridge.errors import BridgeError, require
    from bridge.files import refuse_existing

    for package, extra in (("tensorflow", "keras"), ("tf2onnx", "keras"), ("torch", "torch"), ("sklearn", "digits")):
        require(package, "all" if extra != "digits" else "digits", "The quickstart")
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise BridgeError(f"{output}: is a file, and the quickstart fills a folder. Choose another name: -o DIR.")
    refuse_existing(folder, force)
    started = time.perf_counter()
    folder.mkdir(exist_ok=True)
    _bring_models(folder)
    ran = [_run(title, words, force) for title, words in _steps(folder)]
    _show(folder, ran, time.perf_counter() - started)


def _steps(folder: Path) -> list[tuple[str, list[str]]]:
    """(what for, the command's words) for each step."""
    at = str(folder)
    keras, arch = f"{at}/pretrained_model.h5", ["--arch", f"{at}/mnist_mlp.py:build"]
    tune = [*DATA, "--epochs", str(EPOCHS)]
    return [
        ("What is in the Keras file?", ["inspect", keras, *arch]),
        ("Keras to torch", ["convert", "keras2torch", keras, *arch, "-o", f"{at}/converted"]),
        ("Do both compute the same?", ["parity", keras, f"{at}/converted", *arch]),
        (
            "Do both train the same? 100 steps of Adam on the same batches",
            ["parity", keras, f"{at}/converted", *arch, *DATA, "--train-steps", "100"],
        ),
        ("Transfer: train on digits, from its weights", ["finetune", f"{at}/converted", *tune, "-o", f"{at}/transfer"]),
        (
            "The same with a new head of 10 classes",
            ["finetune", f"{at}/converted", *tune, "--classes", "10", "-o", f"{at}/new-head"],
        ),
        (
            "From scratch: the same network, fresh weights",
            ["finetune", f"{at}/converted", *tune, "--transfer", "structure", "-o", f"{at}/scratch"],
        ),
        (
            "Torch to a plain ONNX file",
            ["convert", "torch2onnx", f"{at}/transfer", "--inline", "-o", f"{at}/transfer.onnx"],
        ),
        ("The weights go home to Keras", ["convert", "torch2keras", f"{at}/transfer", "-o", f"{at}/transfer.keras"]),
        (
            "Do torch, ONNX and Keras still agree?",
            ["parity", f"{at}/transfer", f"{at}/transfer.onnx", f"{at}/transfer.keras", *DATA],
        ),
        ("Evaluate with ONNX Runtime", ["eval", f"{at}/transfer", *DATA]),
    ]


def _run(title: str, words: list[str], force: bool) -> list[str]:
    from bridge.cli import cli

    if force and "-o" in words:
        words = [*words, "--force"]
    click.secho(f"\n{title}", bold=True)
    click.secho(f"$ bridge {shlex.join(words)}", fg="cyan")
    cli.main(words, prog_name="bridge", standalone_mode=False)
    return words


def _bring_models(folder: Path) -> None:
    """Copies the pretrained model and the code of its architecture into the folder."""
    from bridge.errors import BridgeError
    from bridge.files import whole_file

    places = [Path(__file__).parents[2] / "models", Path(sysconfig.get_path("data")) / "share" / "bridge" / "models"]
    for name in ("pretrained_model.h5", "mnist_mlp.py"):
        source = next((place / name for place in places if (place / name).is_file()), None)
        if source is None:
            raise BridgeError(f"{name} is missing from this installation of bridge; install it anew.")
        with whole_file(folder / name, force=True) as part:
            part.write_bytes(source.read_bytes())


def _show(folder: Path, ran: list[list[str]], seconds: float) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from bridge.api import evaluate

    console = Console()
    rows = [
        ("converted", "not trained on digits", "0"),
        ("transfer", "the clothes network's weights", str(EPOCHS)),
        ("new-head", "the same, its last layer new", str(EPOCHS)),
        ("scratch", "random weights", str(EPOCHS)),
    ]
    table = Table(
        box=box.SIMPLE_HEAD, title="Handwritten digits it has not seen, by ONNX Runtime", title_justify="left"
    )
    for column in ("network", "begins with", "epochs", "loss", "right"):
        table.add_column(column, justify="left" if column in ("network", "begins with") else "right")
    for name, begins, epochs in rows:
        scores = next(iter(evaluate(folder / name, "digits", scale=255).scores.values()))
        table.add_row(name, begins, epochs, f"{scores.loss:.3f}", f"{scores.accuracy or 0:.1%}")
    console.print()
    console.print(table)
    click.echo(
        "Transfer pays where the new data resembles the old. Clothes teach little about digits, so\n"
        "random weights do as well here. With data of your own, compare the same way.\n"
    )
    console.print("Files:", highlight=False)
    for path in sorted(folder.iterdir()):
        inner = f"  ({', '.join(sorted(p.name for p in path.iterdir()))})" if path.is_dir() else ""
        console.print(f"  {path}{inner}", highlight=False, soft_wrap=True)
    console.print("\nThe commands, to repeat by hand:", highlight=False)
    for words in ran:
        console.print(f"  bridge {shlex.join(words)}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"\nDone in {seconds:.0f} s.", highlight=False)
    sys.stdout.flush()
