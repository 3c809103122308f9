"""The tutorial's multi-layer perceptron for 28x28 grey images: 784-64-64-10. Its weights: pretrained_model.h5."""

import keras


def build() -> keras.Model:
    """(batch, 784) float32, pixels from 0 to 1 -> (batch, 10) class probabilities."""
    return keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="mnist_mlp",
    )
