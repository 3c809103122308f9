"""What both sides train on: inputs and targets, the user's or random ones, and the losses that fit the outputs."""

from __future__ import annotations

import numpy as np

from bridge.data import Data, class_labels, fit_to, targets_for
from bridge.errors import BridgeError
from bridge.graph import Graph
from bridge.graph.bodies.activations import final_word
from bridge.graph.looked_up import looked_up
from bridge.graph.probe import probe_of, unknown
from bridge.runtime.scoring import LOSSES

SPARSE, CATEGORICAL, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"
RANDOM_BATCHES = 256  # more steps go round them again


def batches(
    graph: Graph, data: Data | None, scale: float | None, loss: str | None, steps: int, batch: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, str], str]:
    """Inputs, targets and losses by name, and what the rows are."""
    if loss is not None and loss not in LOSSES:
        raise BridgeError(f"--loss {loss}: there is no such loss.\nKnown are: {', '.join(LOSSES)}.")
    outputs = {value.name: (value.shape or (None,))[1:] for value in graph.outputs}
    losses = {name: loss or _loss(graph, name) for name in outputs}
    if data is None:
        random = np.random.default_rng(seed)
        most = min(steps, RANDOM_BATCHES) * batch
        x = probe_of(graph, most, seed)
        y = {n: _random_targets(losses[n], (most, *_known(s, graph)), random) for n, s in outputs.items()}
        return x, y, losses, f"random (seed {seed})"
    data = data.head(steps * batch)
    if data.targets is None:
        raise BridgeError(f"{data.origin}: has no targets, and training needs them.\nAdd them as y, say.")
    if len(outputs) > 1 and not isinstance(data.targets, dict):
        raise BridgeError(f"{data.origin}: the model has the outputs {', '.join(outputs)}: give targets for each.")
    types = {v.name: v.dtype for v in graph.inputs}
    fitted = fit_to(data, {v.name: (v.shape or (None,))[1:] for v in graph.inputs}, scale, types, looked_up(graph))
    x = {v.name: fitted[v.name].astype(v.dtype, copy=False) for v in graph.inputs}
    y = {}
    for name, shape in outputs.items():
        which = name if isinstance(data.targets, dict) else None
        if losses[name] == SPARSE:
            y[name] = class_labels(data, shape[-1], which)
        else:
            y[name] = targets_for(data, tuple(size or 1 for size in shape), which)
    return x, y, losses, data.origin


def _loss(graph: Graph, output: str) -> str:
    node, value = graph.maker(output), graph.values[output]
    word = final_word(node.layer, len(value.shape or ())) if node and node.layer else None
    return {"softmax": SPARSE, "sigmoid": BINARY}.get(str(word), "mse")


def _known(shape: tuple[int | None, ...], graph: Graph) -> tuple[int, ...]:
    return tuple(unknown(graph) if size is None else size for size in shape)


def _random_targets(loss: str, sizes: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if loss == SPARSE:
        return random.integers(0, sizes[-1], sizes[:-1])
    if loss == CATEGORICAL:
        return np.eye(sizes[-1], dtype=np.float32)[random.integers(0, sizes[-1], sizes[:-1])]
    if loss == BINARY:
        return random.integers(0, 2, sizes).astype(np.float32)
    return random.standard_normal(sizes).astype(np.float32)
