"""Options that more than one command has, each with one wording and one meaning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FORMS = ".npz, .csv, x.npy,y.npy, an IDX pair or folder, or a name such as digits."

force_option = click.option("--force", is_flag=True, help="Replace the output if it exists.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


custom_option = click.option(
    "--custom",
    multiple=True,
    metavar="FILE.py",
    help="Your code that defines custom classes and functions of the file.",
)
rules_option = click.option(
    "--rules", multiple=True, metavar="FILE.py", help="Your rules for layers of your own, which stay one node each."
)


def keras_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which Keras model a file means."""
    for option in (
        click.option(
            "--unsafe",
            is_flag=True,
            help="Run the code that the file carries (Lambda layers, any operators). Your risk.",
        ),
        click.option(
            "--signature", metavar="NAME", help="What to call of a SavedModel's program, instead of its layers."
        ),
        click.option(
            "--backend",
            type=click.Choice(["tensorflow", "theano"]),
            help="What wrote the kernels of a file of Keras 0 or 1, which does not say so.",
        ),
        click.option(
            "--from-layer",
            multiple=True,
            metavar="NAME",
            help="Take the part of the model from this layer on; more than once for several.",
        ),
        rules_option,
        custom_option,
        click.option("--mlp", metavar="SPEC", help="A stack of Dense layers: 784-64:relu-64:relu-10:softmax."),
        click.option("--arch", metavar="FILE.py:FUNCTION", help="What builds the model; or its config.json."),
    ):
        function = option(function)
    return function


def data_options(part: str, *, optional: str = "") -> Decorator:
    """--data, --part, --label and --scale. part: the default; optional: what happens without --data."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--scale", type=float, help="Divide the data by this number, such as 255."),
            click.option("--label", default="label", show_default=True, help="The .csv column that holds the targets."),
            click.option("--part", type=click.Choice(["train", "test", "all"]), default=part, show_default=True),
            click.option("--data", required=not optional, help=f"{optional}{FORMS}"),
        ):
            function = option(function)
        return function

    return add


def seed_option(of: str) -> Decorator:
    """--seed. of: what it decides."""
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=of)


optimizer_option = click.option(
    "--optimizer", default="adam", show_default=True, help="sgd, adam, adamw, rmsprop; or JSON with its options."
)


def optimizer(text: str) -> str | dict[str, Any]:
    """What --optimizer means: a name, or the options of a JSON object."""
    if not text.startswith("{"):
        return text
    try:
        options: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f'--optimizer is not JSON: {error}. Expected {{"name": "sgd", "momentum": 0.9}}'
        ) from None
    return options
