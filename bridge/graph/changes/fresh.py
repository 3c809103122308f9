"""The same architecture with new weights."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.graph import stored
from bridge.graph.body import Refused
from bridge.graph.changes.initializers import initialize, known
from bridge.graph.layer import Graph, Layer, Weight

DATA_STATISTICS = frozenset({"Normalization"})  # layers whose weights were measured on data, not trained


def fresh(graph: Graph, seed: int) -> Graph:
    """The graph with every weight as Keras would begin it, moving statistics included.

    The measured mean and variance of a Normalization stay: they belong to the data. A weight's numbers depend on the
    seed and its path alone. Raises BridgeError for weights whose beginning is not known, naming them.
    """
    owners = {w.path: (layer, name) for layer in graph.layers.values() for name, w in layer.weights.items()}
    arrays: dict[str, np.ndarray] = {}
    unknown = []
    large = graph.weight_bytes > stored.MOST_INSIDE
    later: dict[str, Callable[[], np.ndarray]] = {}  # the largest weights of a large model: drawn when asked for
    for path, weight in graph.weights.items():
        layer, name = owners.get(path, (None, ""))
        if layer is not None and layer.kind in DATA_STATISTICS:
            arrays[path] = graph.arrays[path]
            continue
        try:
            if large and weight.nbytes > stored.CHUNK:
                known(config_of(weight, layer, name))
                later[path] = partial(begin, weight, layer, name, seed)
            else:
                arrays[path] = begin(weight, layer, name, seed)
        except Refused as reason:
            unknown.append(f"{path}: {reason}")
    if unknown:
        more = f", and {len(unknown) - 1} more weights" if len(unknown) > 1 else ""
        raise BridgeError(
            f"{unknown[0]}{more}.\n"
            "So the model can't begin with new weights; keep the ones it has: --transfer parameters"
        )
    return replace(graph, arrays=arrays | stored.Arrays(later) if later else arrays)


def config_of(weight: Weight, layer: Layer | None, name: str) -> Any:
    """The initializer of the weight that `layer` calls `name`. Raises Refused where nobody says how it begins."""
    # the weight says more than the layer's option: an EinsumDense's axes of inputs, an LSTM's forget gate
    config = weight.initializer or (layer.config.get(f"{name}_initializer") if layer else None)
    if config is None:
        raise Refused("the model does not say how this weight is initialized")
    return config


def begin(weight: Weight, layer: Layer | None, name: str, seed: int) -> np.ndarray:
    """New values for the weight that `layer` calls `name`. Raises Refused where nobody says how it begins."""
    config = config_of(weight, layer, name)
    rng = np.random.default_rng([seed, zlib.crc32(weight.path.encode())])
    return initialize(config, weight.shape, weight.dtype, rng)
