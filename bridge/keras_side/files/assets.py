"""Vocabularies: the texts beside the weights in a .keras archive that lookup layers are filled from."""

from __future__ import annotations

import keras
import numpy as np
from keras.src.layers.preprocessing.index_lookup import IndexLookup

from bridge.errors import BridgeError
from bridge.graph import Graph
from bridge.keras_side.files import tree
from bridge.keras_side.names import layers_by_path

VOCABULARY = "vocabulary.txt"


def fill(model: keras.Model, assets: dict[str, bytes], file: str) -> None:
    """Gives each adapted lookup layer its vocabulary. Raises BridgeError for texts that are none, or of no layer."""
    if not assets:
        return
    left = dict(assets)
    for place, item, label in tree.homes(model):
        if not isinstance(item, IndexLookup | keras.layers.TextVectorization):
            continue
        text = left.pop(
            f"assets/{place}/{VOCABULARY}", None
        )  # of a TextVectorization it is its inner lookup's once more
        if text is not None and isinstance(item, IndexLookup) and item.input_vocabulary is None:
            _set(item, _parsed(item, text, f"{file}: {label}"), f"{file}: {label}")
    if left:
        raise BridgeError(f"{file}: holds {next(iter(left))!r}, which no layer of its model has a use for.")


def restore(model: keras.Model, graph: Graph) -> None:
    """Gives each IntegerLookup that has no vocabulary the one of the converted layer of its path."""
    known = graph.layers
    for path, layer in layers_by_path(model).items():
        if isinstance(layer, keras.layers.IntegerLookup) and path in known and not layer.get_vocabulary(False):
            config = known[path].config
            special = layer._token_start_index()
            tokens = [layer.oov_token] * special + config["vocabulary"]
            if special and layer._oov_start_index():
                tokens[0] = layer.mask_token
            _set(layer, tokens, path)
            if layer.output_mode == "tf_idf":
                layer.load_own_variables({"idf_weights": np.array(config["idf_weights"], np.float32)})


def adapted(model: keras.Model) -> list[str]:
    """The paths of lookup layers whose vocabulary is no part of their config."""
    found = layers_by_path(model).items()
    return [path for path, layer in found if isinstance(layer, IndexLookup) and layer.input_vocabulary is None]


def _parsed(layer: IndexLookup, text: bytes, where: str) -> list[str] | list[int]:
    try:
        lines = text.decode().splitlines()
        while lines and not lines[-1]:
            lines.pop()
        return lines if layer.vocabulary_dtype == "string" else [int(line) for line in lines]
    except ValueError:
        raise BridgeError(
            f"{where}: its vocabulary is not one of {layer.vocabulary_dtype}. The file is damaged."
        ) from None


def _set(layer: IndexLookup, tokens: list[str] | list[int], where: str) -> None:
    idf = np.zeros(len(tokens), np.float32) if layer.output_mode == "tf_idf" else None  # the weights come next
    try:
        layer.set_vocabulary(tokens, idf)
    except (ValueError, RuntimeError, IndexError) as error:
        raise BridgeError(f"{where}: its vocabulary does not fit the layer: {str(error)[:150]}") from None
