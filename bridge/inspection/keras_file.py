"""A Keras file: its headers first, then, where it says how the layers are connected, the loaded model."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict
from typing import Any

from bridge.errors import BridgeError
from bridge.inspection.result import Inspection, Layer, Shape, Weight
from bridge.keras_side.client import ask
from bridge.keras_side.source import Source
from bridge.process import worker


def inspect_keras(source: Source) -> Inspection:
    """What is in a Keras file, and what convert would refuse of it, all at once.

    Raises BridgeError if the file is damaged, or if the source's `arch` or `mlp` don't fit it.
    """
    path, arch, mlp = source.path, source.arch, source.mlp
    told = ask("describe", path=path, custom=source.custom, backend=source.backend)
    facts = {
        "Keras": str(told["keras_version"] or "not told"),
        "model": str(told["model_class"] or "not told: weights alone"),
    }
    facts |= told.get("facts", {})
    if "signatures" in facts and not told["model_class"]:
        del facts["Keras"], facts["model"]
    if told["training_config"]:
        facts["besides"] = "optimizer and loss, which convert leaves out"
    refusals = [_without(path, line) for line in told["refusals"]]
    upgrades = [f"Read as Keras {told['keras_version']} meant it: {line}." for line in told["upgrades"]]
    if told["needs_architecture"] and not arch and not mlp:
        way = f"--mlp {told['mlp']} with an activation for each ?, or " if told["mlp"] else ""
        convert = [f"Weights alone: convert needs {way}--arch FILE.py:function or --arch config.json."]
        layers = _described(told["layers"])
        return Inspection(path, told["format"], facts, layers, convert, refusals, skeleton=told["skeleton"] or "")
    if refusals and not (arch or source.unsafe):
        return Inspection(path, told["format"], facts, _described(told["layers"]), [], refusals, notes=upgrades)
    try:
        found = ask("survey", source=asdict(source))
    except BridgeError as error:
        if arch or mlp or source.from_layer or source.signature or source.backend:
            raise
        lines = [_without(path, str(error))]
        return Inspection(path, told["format"], facts, _described(told["layers"]), [], lines, notes=upgrades)
    facts |= {"inputs": _values(found["inputs"]), "outputs": _values(found["outputs"])}
    layers = _surveyed(found)
    refusals = found["refusals"] or _by_torch(found["proto"], source.rules)
    own = sum(not layer["one_node"] for layer in found["layers"])
    convert = [] if refusals else _can(layers, found["by_operators"], own)
    warnings = [f"NaN or infinity in {name}" for name in found["non_finite"]]
    named = {key: value for key, value in facts.items() if value}
    notes = [*upgrades, *(note for note in found["notes"] if not (upgrades and note.startswith("Written by Keras")))]
    return Inspection(path, told["format"], named, layers, convert, refusals, warnings, notes)


def _by_torch(proto: Any, rules: tuple[str, ...]) -> list[str]:
    """What keras2torch alone would refuse; nothing where torch isn't installed, which it needs."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "safetensors")):
        return []
    lines = worker("torch_side").call("refusals", proto=proto, rules=rules)["refusals"]
    return [f"{line} (keras2torch; keras2onnx takes it)" for line in lines]


def _can(layers: list[Layer], by_operators: bool, own: int) -> list[str]:
    """What the conversions do. own: how many of the layers are the user's own code, without a rule."""
    if by_operators:
        count = sum(len(layer.weights) for layer in layers)
        return [f"bridge convert keras2torch and keras2onnx take it, operator by operator, with its {count} variables."]
    whole = len([layer for layer in layers if layer.kind]) - own
    line = f"bridge convert keras2torch and keras2onnx take it: {whole} layers, each one node and one module."
    return [f"{line[:-1]}; what {own} of your own compute becomes operators." if own else line]


def _described(layers: list[dict[str, Any]]) -> list[Layer]:
    return [
        Layer(
            layer["name"],
            layer["class"],
            None,
            tuple(Weight(w["name"], tuple(w["shape"]), w["dtype"]) for w in layer["weights"]),
        )
        for layer in layers
    ]


def _surveyed(found: dict[str, Any]) -> list[Layer]:
    """The layers of the loaded model with their weights; after them, weights that belong to none of them."""
    left = {w["name"]: Weight(w["name"], tuple(w["shape"]), w["dtype"], w["trainable"]) for w in found["weights"]}
    known = {layer["name"] for layer in found["layers"]}
    owners = {name: _owner(name, known) for name in left}
    layers = []
    for layer in found["layers"]:
        mine = [name for name in left if owners.get(name) == layer["name"]]
        weights = tuple(_named(left.pop(name), name.removeprefix(f"{layer['name']}/")) for name in mine)
        shape = layer["output_shape"]
        layers.append(Layer(layer["name"], layer["class"], None if shape is None else tuple(shape), weights))
    if left:
        layers.append(Layer("(the model's own)", "", None, tuple(left.values())))
    return layers


def _owner(weight: str, layers: set[str]) -> str | None:
    """The innermost of the layers that a weight is in."""
    words = weight.split("/")
    return next((path for n in range(len(words) - 1, 0, -1) if (path := "/".join(words[:n])) in layers), None)


def _named(weight: Weight, name: str) -> Weight:
    return Weight(name, weight.shape, weight.dtype, weight.trainable)


def _values(values: list[dict[str, Any]]) -> str:
    return ", ".join(f"{v['name']} ({_sizes(tuple(v['shape']))}) {v['dtype']}" for v in values)


def _sizes(shape: Shape) -> str:
    return " x ".join("batch" if n == 0 and s is None else "any" if s is None else str(s) for n, s in enumerate(shape))


def _without(path: str, line: str) -> str:
    return line.removeprefix(f"{path}: ")
