"""Numbers of rows of an embedding that training data has: each must be there."""

from __future__ import annotations

import numpy as np

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.graph import Graph


def refuse_beyond_tables(data: Data, graph: Graph) -> None:
    """Raises BridgeError for the first number that an embedding, which takes an input as it is, has no row for."""
    for node in graph.nodes:
        array = data.inputs.get(node.inputs[0]) if node.inputs else None
        if node.layer is None or array is None or node.kind not in ("Embedding", "ReversibleEmbedding"):
            continue
        if node.layer.config.get("reverse"):
            continue
        size = node.layer.weights["embeddings"].shape[0]
        wrong = np.argwhere((array < 0) | (array >= size))
        if len(wrong):
            value = array[tuple(wrong[0])]
            counts = "; Keras counts it from the end: add the number of rows" if -size <= value < 0 else ""
            raise BridgeError(
                f"{data.origin}: {node.inputs[0]} has {value:g} in row {wrong[0][0]}, but {node} has the rows 0 to "
                f"{size - 1}{counts}."
            )
