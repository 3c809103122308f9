"""`--mlp 784-64:relu-64:relu-10:softmax`: a stack of Dense layers in one word."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.errors import BridgeError

EXAMPLE = "784-64:relu-64:relu-10:softmax"
BLANK = "?"
_LAYER = re.compile(r"([1-9][0-9]{0,8})(?::([a-z][a-z0-9_]*))?", re.ASCII)


@dataclass(frozen=True)
class Mlp:
    """features: size of one input row. layers: (units, activation name) in order."""

    features: int
    layers: tuple[tuple[int, str], ...]


def parse(text: str, activations: frozenset[str]) -> Mlp:
    """Reads INPUT-UNITS:ACTIVATION-...; a layer without an activation is linear. Raises BridgeError for all else."""
    parts = text.split("-")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", parts[0], re.ASCII):
        raise BridgeError(
            f"--mlp {text}: begins with {parts[0]!r}, expected the number of input features, as in {EXAMPLE}."
        )
    if len(parts) < 2:
        raise BridgeError(f"--mlp {text}: has no layer, expected at least one, as in {EXAMPLE}.")
    layers = []
    for number, part in enumerate(parts[1:], 1):
        match = _LAYER.fullmatch(part)
        if part.endswith(f":{BLANK}"):
            raise BridgeError(
                f"--mlp {text}: put the activation of layer {number} in the place of {BLANK!r}, as in {EXAMPLE}.\n"
                f"A weights file does not tell it. Known: {', '.join(sorted(activations))}."
            )
        if match is None:
            raise BridgeError(f"--mlp {text}: layer {number} is {part!r}, expected UNITS:ACTIVATION, as in {EXAMPLE}.")
        activation = match[2] or "linear"
        if activation not in activations:
            raise BridgeError(
                f"--mlp {text}: layer {number} has the activation {activation!r}, which Keras does not know.\n"
                f"Known: {', '.join(sorted(activations))}."
            )
        layers.append((int(match[1]), activation))
    return Mlp(int(parts[0]), tuple(layers))


def line(kernels: list[tuple[int, ...]]) -> str:
    """The --mlp line of Dense layers with these (inputs, units), with a blank for each activation."""
    return "-".join([str(kernels[0][0]), *(f"{units}:{BLANK}" for _, units in kernels)])
