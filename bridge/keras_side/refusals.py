"""What of a model can't be converted, all of it at once, before anything is traced."""

from __future__ import annotations

from typing import Any

import keras

from bridge.errors import BridgeError
from bridge.graph import BODIES
from bridge.graph.recurrent import CELLS, RECURRENT
from bridge.keras_side import recurrent
from bridge.keras_side.names import Names

BUILT_IN = ("keras.src.layers.", "keras.src.applications.")  # where Keras's own layers are
_TEXT = ("TextVectorization", "StringLookup", "Hashing", "HashedCrossing")
_REGULARIZERS = ("L1", "L2", "L1L2", "OrthogonalRegularizer")
_CONSTRAINTS = ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
SHOWN = 6


def refusals(model: keras.Model, found: Names, unsafe: bool = False) -> list[str]:
    """One line for each layer, or option of a layer, that the conversion can't do."""
    lines, refused = [], ()
    for layer in model._flatten_layers():
        path = found.layers.get(id(layer))
        if not path or path.startswith(refused):
            continue  # the model itself, or a part of a refused layer: an LSTM's cell
        reason = _layer_reason(layer)
        if reason:
            lines.append(f"{path} ({type(layer).__name__}): {reason}")
            refused = (*refused, f"{path}/")
    for weight in found.weights.values():
        for what, known in (("regularizer", _REGULARIZERS), ("constraint", _CONSTRAINTS)):
            config = getattr(weight, what)
            if config is not None and not _is_keras(config, known):
                lines.append(f"{weight.path}: its {what} {config.get('class_name')!r} is not one of Keras's own")
    return lines


def refuse_all_at_once(model: keras.Model, found: Names) -> None:
    """Raises BridgeError with every reason that can be told before tracing."""
    refuse(model, refusals(model, found))


def refuse(model: keras.Model, lines: list[str]) -> None:
    """Raises BridgeError if there are reasons, the first few in full."""
    if lines:
        more = f" (and {len(lines) - SHOWN} more; bridge inspect lists them)" if len(lines) > SHOWN else ""
        what = "; ".join(lines[:SHOWN])
        raise BridgeError(f"{model.name}: can't be converted yet: {what}{more}.")


def _layer_reason(layer: keras.Layer) -> str | None:
    kind = type(layer).__name__
    regularizer = layer.activity_regularizer
    if regularizer is not None and type(regularizer) not in _PENALTIES:
        return f"its activity regularizer {type(regularizer).__name__} is not Keras's L1, L2 or L1L2"
    if not type(layer).__module__.startswith(BUILT_IN):
        return None  # a model or the user's own layer: its inner layers and operators speak for themselves
    if isinstance(layer, keras.layers.InputLayer | keras.layers.Lambda | keras.layers.Pipeline):
        return None  # a Lambda got here only by --unsafe; it is traced as what it computes, a pipeline as its layers
    if kind in (*CELLS, "StackedRNNCells", "ConvLSTMCell"):
        return None  # its recurrent layer speaks for it; called by itself, it is traced as what it computes
    if kind in RECURRENT and not recurrent.is_own(layer):
        return None  # likewise
    if kind in _TEXT:
        return "text can't be converted; split the preprocessing off and convert the part that takes numbers"
    if kind not in BODIES:
        return "no conversion for this kind of layer yet"
    if layer.compute_dtype != "float32" or layer.variable_dtype != "float32":
        return f"dtype policy {layer.dtype_policy.name!r}; only float32 so far"
    if getattr(layer, "quantization_mode", None) is not None or getattr(layer, "lora_enabled", False):
        return "quantized or LoRA weights; merge them first"
    if getattr(layer, "renorm", False):
        return "batch renormalization (renorm=True)"
    return None


def _is_keras(config: dict[str, Any], known: tuple[str, ...]) -> bool:
    return config.get("registered_name") is None and config.get("class_name") in known
