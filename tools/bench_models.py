"""The models that the benchmarks convert, of random weights: python tools/bench_models.py NAME FILE.keras"""

from __future__ import annotations

import os
import sys
from typing import Any

SHAPES: dict[str, tuple[int, ...]] = {  # of the input, without the batch axis
    "mlp": (784,),
    "resnet50": (224, 224, 3),
    "transformer": (64,),
    "lstm": (64, 32),
}
WORDS = 1000


def mlp() -> Any:
    """The tutorial's: 784-64-64-10."""
    import keras

    layers = [keras.layers.Dense(units, activation=kind) for units, kind in ((64, "relu"), (64, "relu"))]
    return keras.Sequential([keras.Input(SHAPES["mlp"]), *layers, keras.layers.Dense(10, activation="softmax")])


def resnet50() -> Any:
    import keras

    return keras.applications.ResNet50(weights=None, classes=10)


def transformer() -> Any:
    """Twelve layers of an encoder, 256 wide, over words and their places, and a classifier."""
    import keras
    from keras import layers, ops

    (length,), width, heads = SHAPES["transformer"], 256, 4
    words = keras.Input((length,), dtype="int32", name="words")
    x = layers.Embedding(WORDS, width)(words) + layers.Embedding(length, width)(ops.arange(length))
    for _ in range(12):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.Dense(width)(layers.Dense(4 * width, activation="relu")(y))])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-5)(x))
    return keras.Model(words, layers.Dense(10, activation="softmax")(x), name="transformer")


def lstm() -> Any:
    """Two layers of 128 units over 64 steps, and a classifier."""
    import keras
    from keras import layers

    stack = [layers.LSTM(128, return_sequences=True), layers.LSTM(128)]
    return keras.Sequential([keras.Input(SHAPES["lstm"]), *stack, layers.Dense(10, activation="softmax")])


def thousand() -> Any:
    """A model of 1,000 layers: blocks of a dense layer, a normalization, an activation and a sum."""
    import keras
    from keras import layers

    x = start = keras.Input((32,))
    for _ in range(249):
        y = layers.BatchNormalization()(layers.Dense(32)(x))
        x = layers.Add()([x, layers.Activation("tanh")(y)])
    return keras.Model(start, layers.Dense(10)(layers.Dense(32)(x)), name="thousand")


def big() -> Any:
    """Over 2 GB of weights, the most of them in one table of words; BENCH_WORDS says how many words."""
    import keras
    from keras import layers

    words, width = int(os.environ.get("BENCH_WORDS", "100000")), 4096
    x = start = keras.Input((16,), dtype="int32", name="words")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(words, width, embeddings_initializer="ones")(x))
    for _ in range(max(1, words // 8000)):
        x = layers.LayerNormalization()(layers.Dense(width, activation="relu")(x))
    return keras.Model(start, layers.Dense(10, activation="softmax")(x), name="big")


MODELS = {
    **{"mlp": mlp, "resnet50": resnet50, "transformer": transformer, "lstm": lstm},
    **{"thousand": thousand, "big": big},
}


def main() -> None:
    import keras

    name, file = sys.argv[1:]
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    if name != "big":
        liven(model)
        model.save(file)
        return
    from pathlib import Path

    from bridge.keras_side.files.write import write

    randomize(model)
    write(model, Path(file))  # Keras's own way may hold the weights three times


def liven(model: Any) -> None:
    """Biases and statistics as of a trained network: exporters leave out what is zero."""
    import keras

    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign_add(0.1 * abs(keras.random.normal(variable.shape)))


def randomize(model: Any) -> None:
    """Small random numbers for all weights, drawn piece by piece."""
    import numpy as np

    from bridge.keras_side.weights import put

    draw = np.random.default_rng(0)
    for variable in model.variables:
        array = np.empty(variable.shape, "float32")
        flat = array.reshape(-1)
        for start in range(0, flat.size, 1 << 22):
            flat[start : start + (1 << 22)] = draw.standard_normal(len(flat[start : start + (1 << 22)]), "float32")
        array *= 0.02
        array += variable.path.endswith("gamma")
        put(variable, array)


if __name__ == "__main__":
    main()
