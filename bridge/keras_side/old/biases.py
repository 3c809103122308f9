"""Convolutions with their channels in front whose bias Keras 3 adds along the width, where both are as long.

Old Kerases added it along the channels. Source: keras 3.15, backend/tensorflow/numpy.py, add.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from bridge.keras_side.old.dialect.gone import OWN

_KINDS = (
    *("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)


def misplaced(model: keras.Model) -> set[str]:
    """The names of the layers of Keras's own that are such convolutions."""
    found = set()
    for layer in model._flatten_layers():
        inner = getattr(layer, "layer", layer)  # a TimeDistributed's
        if type(inner).__name__ in _KINDS and type(inner).__module__.startswith("keras.src.") and _takes_two(inner):
            shapes = [tensor.shape for node in layer._inbound_nodes for tensor in node.outputs]
            if any(shape[-1] == inner.bias.shape[0] > 1 for shape in shapes):
                found.add(inner.name)
    return found


def _takes_two(layer: Any) -> bool:
    """Whether there is a bias that could be added along two axes."""
    return bool(layer.data_format == "channels_first" and layer.use_bias and layer.padding != "causal")


def by_own(config: Any, names: set[str]) -> Any:
    """The config, in which the convolutions of these names are now bridge's own, which add it along the channels."""
    for node in _nodes(config):
        if node["class_name"] in _KINDS and node["config"].get("name") in names:
            node["config"]["pads"] = ""
            node["module"], node["registered_name"] = OWN, f"bridge>{node['class_name']}"
    return config


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
            yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from _nodes(item)
