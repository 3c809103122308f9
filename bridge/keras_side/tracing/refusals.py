"""What of a model can't be converted, all of it at once, before anything is traced."""

from __future__ import annotations

from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.graph import BODIES
from bridge.graph.bodies.recurrent_runs import RECURRENT
from bridge.graph.refused import FEATURES, NOT_YET, QUANTIZED, REASONS, SEEN_THROUGH, TEXT
from bridge.keras_side.names import Names
from bridge.keras_side.tracing import own_layers, recurrent
from bridge.own_rules import Rules

# where Keras's own layers are, those of older versions too
BUILT_IN = ("keras.src.layers.", "keras.src.applications.", "bridge.keras_side.old.leaves")
SHOWN = 6


def refusals(model: keras.Model, found: Names, rules: Rules | None = None) -> list[str]:
    """One line for each layer, or option of a layer, that the conversion can't do."""
    rules = rules or Rules()
    lines, refused = [], ()
    for layer in model._flatten_layers():
        path = found.layers.get(id(layer))
        if not path or path.startswith(refused):
            continue  # the model itself, or a part of a refused layer: an LSTM's cell
        reason = _layer_reason(layer)
        if reason:
            lines.append(f"{path} ({type(layer).__name__}): {reason}")
        if reason or own_layers.is_ruled(layer, rules):  # whose parts the user's rule knows
            refused = (*refused, f"{path}/")
    return lines


class Unconvertible(BridgeError):
    """A model that can't be converted, for all these reasons; the message has the first few."""

    def __init__(self, model: keras.Model, reasons: list[str]):
        more = f" (and {len(reasons) - SHOWN} more; bridge inspect lists them)" if len(reasons) > SHOWN else ""
        super().__init__(f"{model.name}: can't be converted yet: {'; '.join(reasons[:SHOWN])}{more}.")
        self.reasons = reasons


def refuse(model: keras.Model, lines: list[str]) -> None:
    """Raises Unconvertible if there are reasons."""
    if lines:
        raise Unconvertible(model, list(dict.fromkeys(lines)))


def without_what_is_within(lines: list[str], refused: list[str]) -> list[str]:
    """Reasons that are not about the code of layers that are refused as a whole, nor of layers in these."""
    paths = tuple(line.partition(" (")[0] for line in refused)
    return [line for line in lines if not line.startswith(tuple(f"{path}{end}" for path in paths for end in "/ "))]


def _layer_reason(layer: keras.Layer) -> str | None:
    kind = type(layer).__name__
    if not type(layer).__module__.startswith(BUILT_IN):
        return None  # a model or the user's own layer: its inner layers and operators speak for themselves
    if kind in (*SEEN_THROUGH, *FEATURES, "ConvLSTMCell"):
        return None
    if kind in RECURRENT and not recurrent.is_own(layer):
        return None  # a cell of the user's own: it is traced as what it computes
    if kind not in BODIES:
        reason = REASONS.get(kind, NOT_YET)
        after = _behind(layer) if reason == TEXT else []
        return reason + (f": {' '.join(f'--from-layer {name}' for name in after)}" if after else "")
    if kind == "SpectralNormalization" and (reason := _layer_reason(layer.layer)):
        return f"its {layer.layer.name} ({type(layer.layer).__name__}): {reason}"
    if kind == "IntegerLookup":
        return None  # it has no weights; its type is that of its vocabulary
    if layer.compute_dtype != "float32" or layer.variable_dtype != "float32":
        return f"dtype policy {layer.dtype_policy.name!r}; only float32 so far"
    if (mode := getattr(layer, "quantization_mode", None)) is not None:
        return QUANTIZED.format(mode)
    if getattr(layer, "lora_enabled", False):
        return "LoRA adapters; save the model, whose file has them merged, and convert that"
    if getattr(layer, "renorm", False):
        return "batch renormalization (renorm=True)"
    return None


def _behind(layer: keras.Layer) -> list[str]:
    """The layers that take what this one gives, in a functional or Sequential model."""
    taken = [node.operation for made in layer._inbound_nodes for t in made.outputs for node in _takers(t, layer)]
    return list(dict.fromkeys(operation.name for operation in taken))


def _takers(tensor: Any, layer: keras.Layer) -> list[Any]:
    return [node for node in layer._outbound_nodes if any(tensor is given for given in node.input_tensors)]
