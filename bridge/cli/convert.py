"""bridge convert: keras2onnx, keras2torch, torch2onnx, torch2keras."""

from __future__ import annotations

from typing import Any

import click

from bridge.cli.options import custom_option, force_option, keras_options, rules_option


@click.group("convert")
def command() -> None:
    """Convert Keras to ONNX or torch, and torch to ONNX or home to Keras.

    MODEL is a .keras file, a full or weights-only .h5, a .weights.h5, a SavedModel folder or a checkpoint of
    TensorFlow's (NAME of NAME.index, or its folder); weights alone need --arch or --mlp.
    """


@command.command("keras2onnx")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="FILE.onnx")
@keras_options
@click.option("--inline", is_flag=True, help="A plain ONNX file: standard operators only, no functions.")
@force_option
def keras2onnx(model: str, output: str, **options: Any) -> None:
    """Write a Keras model as ONNX in which each Keras layer is one node."""
    from bridge.keras_side.client import start

    start()  # it imports TensorFlow while this process imports what it needs
    from bridge.cli.show import waiting
    from bridge.convert import keras2onnx

    with waiting(f"Tracing {model} in Keras"):
        proof = keras2onnx(model, output, **options)
    click.echo(f"{output}: ONNX Runtime and Keras differ by {proof.onnx:.1e} of the outputs' scale (random inputs).")
    for note in proof.notes:
        click.echo(note)


@command.command("keras2torch")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="DIR")
@keras_options
@click.option("--into", metavar="FILE.py:CLASS", help="Map the weights onto this torch module of your own.")
@click.option("--map", "map_file", metavar="FILE.json", help='With --into: {"fc1.weight": "dense/kernel", ...}.')
@force_option
def keras2torch(model: str, output: str, into: str | None, map_file: str | None, force: bool, **options: Any) -> None:
    """Write a Keras model as a trainable torch module: model.onnx, model.safetensors, model.py, map.json."""
    from bridge.keras_side.client import start

    start()  # as above
    from bridge.cli.show import show_weights, waiting
    from bridge.convert import keras2torch

    with waiting(f"Tracing {model} in Keras"):
        result = keras2torch(model, output, into=into, map_file=map_file, force=force, **options)
    show_weights(result.rows)
    click.echo(
        f"{output}: {result.trainable:,} trainable parameters. On random inputs, relative to the outputs' scale, torch "
        f"differs from Keras by {result.proof.torch:.1e}, ONNX Runtime by {result.proof.onnx:.1e}."
    )
    for note in result.notes:
        click.echo(note)


@command.command("torch2onnx")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--output", required=True, metavar="FILE.onnx")
@click.option("--inline", is_flag=True, help="A plain ONNX file: standard operators only, no functions.")
@rules_option
@force_option
def torch2onnx(folder: str, output: str, inline: bool, rules: tuple[str, ...], force: bool) -> None:
    """Write a bridge folder's network, with the weights of its model.safetensors, as ONNX."""
    from bridge.convert import torch2onnx

    proto = torch2onnx(folder, output, inline=inline, rules=rules, force=force)
    kind = "plain" if inline else "layered"
    click.echo(f"{output}: {kind} ONNX, {len(proto.graph.node)} nodes, {len(proto.graph.initializer)} weights.")


@command.command("torch2keras")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--output", required=True, metavar="FILE.keras")
@click.option("--arch", metavar="FILE.py:FUNCTION", help="What builds the Keras model, where its config can't.")
@custom_option
@rules_option
@click.option("--weights-only", is_flag=True, help="With .h5: the legacy layout of weights alone.")
@click.option("--unsafe", is_flag=True, help="Rebuild Lambda layers from the code in the model's config. Your risk.")
@force_option
def torch2keras(folder: str, output: str, **options: Any) -> None:
    """Take a bridge folder's weights home into a Keras file (.keras, .h5, .weights.h5), bit for bit.

    What came from a SavedModel goes home into one, to a folder of any other name; what came from a checkpoint of
    TensorFlow's into NAME.index and NAME.data-....
    """
    from bridge.cli.show import waiting
    from bridge.convert import torch2keras

    with waiting(f"Writing {output} with Keras"):
        result = torch2keras(folder, output, **options)
    kept = f" {result['kept']} more are as --arch made them: not of the part." if result["kept"] else ""
    click.echo(f"{output}: {result['weights']} weights, {result['parameters']:,} numbers, bit for bit.{kept}")
