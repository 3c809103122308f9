"""bridge inspect: what is in a file, and what convert would do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.options import json_option, keras_options

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.inspection import Inspection


@click.command("inspect")
@click.argument("file")
@keras_options
@click.option("--all", "whole", is_flag=True, help="Every layer and every weight, repeated blocks too.")
@click.option("--skeleton", metavar="FILE.py", help="Write what the shapes of weights alone tell, for --arch.")
@json_option
def command(file: str, whole: bool, skeleton: str | None, as_json: bool, **options: Any) -> None:
    """Show what is in FILE: layers, weights, versions; what convert would do with it, what it would refuse and why.

    FILE is a Keras file, a SavedModel, a checkpoint of TensorFlow's (NAME of NAME.index, or its folder), an .onnx file,
    a bridge folder or a .safetensors file. For Keras files that hold weights alone, --arch or --mlp say how the layers
    are connected, as for convert.
    """
    from rich.console import Console

    from bridge.cli.show import waiting
    from bridge.inspection import inspect

    with waiting(f"Reading {file}"):
        found = inspect(file, **options)
    if skeleton is not None:
        write_skeleton(found, skeleton)
    elif as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        show(Console(highlight=False), found, whole)


def write_skeleton(found: Inspection, output: str) -> None:
    """Writes the --arch function that the shapes of the weights allow. Raises BridgeError where they allow none."""
    from bridge.errors import BridgeError
    from bridge.files import refuse_existing, refuse_input_as_output, whole_file

    if not output.endswith(".py"):
        raise BridgeError(f"--skeleton {output}: it is Python code; give it a name that ends in .py.")
    if not found.skeleton:
        raise BridgeError(
            f"{found.path}: --skeleton is for weights alone of a plain stack of Keras layers, which this is not.\n"
            "Write the code that builds the model, and pass it: --arch FILE.py:function"
        )
    refuse_existing(Path(output), False)
    refuse_input_as_output(Path(output), found.path)
    with whole_file(output, False) as part:
        part.write_text(found.skeleton, encoding="utf-8")
    click.echo(f"{output}: fill in what is in capitals, then: bridge inspect {found.path} --arch {output}:build")


def show(console: Console, found: Inspection, whole: bool = False) -> None:
    """Prints an inspection. whole: every layer and weight, also of repeated blocks."""
    from rich.table import Table
    from rich.text import Text

    from bridge.cli.layer_lines import layer_lines

    console.print(found.path, markup=False, soft_wrap=True)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("format", Text(found.format))
    for name, value in found.facts.items():
        facts.add_row(Text(name), Text(value))
    console.print(facts)
    console.print()
    for row in layer_lines(found.layers, console.width, whole):
        console.print(row, soft_wrap=True)
    console.print()
    trained = "" if found.trainable is None else f", {found.trainable:,} of them trained"
    console.print(f"{found.parameters:,} parameters{trained}.")
    for line in found.convert:
        console.print(line, markup=False, soft_wrap=True)
    if found.skeleton and not any("--mlp" in line for line in found.convert):
        console.print("A start for it, with blanks in capitals (--skeleton FILE.py writes it):\n")
        console.print(found.skeleton, markup=False, soft_wrap=True)
    if found.refusals:
        console.print("convert would refuse it:")
        for line in found.refusals:
            console.print(f"  {line}", markup=False, soft_wrap=True)
    for line in found.notes:
        console.print(line, markup=False, soft_wrap=True)
    for line in found.warnings:
        console.print(f"WARNING: {line}", markup=False, soft_wrap=True)
