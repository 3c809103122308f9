"""Architectures for the parity and inspect tests, run by --arch in the Keras process; pytest's own never imports it."""

import keras
from keras import layers


def normalised():
    return keras.Sequential(
        [
            keras.Input((6,), name="x"),
            layers.Dense(5, activation="relu", name="first"),
            layers.BatchNormalization(name="norm", momentum=0.9),
            layers.Dense(3, activation="softmax", name="last"),
        ],
        name="normalised",
    )


def dropped():
    return keras.Sequential(
        [
            keras.Input((6,), name="x"),
            layers.Dense(5, activation="relu", name="first"),
            layers.Dropout(0.25, name="drop"),
            layers.Dense(3, activation="softmax", name="last"),
        ],
        name="dropped",
    )


def two_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    joined = layers.Concatenate(name="joined")([a, b])
    hidden = layers.Dense(5, activation="relu", name="first")(joined)
    return keras.Model([a, b], [layers.Dense(3, "softmax", name="last")(hidden), layers.Dense(1, name="value")(hidden)])


def open_sizes():
    """Takes images of even sizes, of which its file names none."""
    image = keras.Input((None, None, 2), name="x")
    x = layers.Conv2D(3, 3, padding="same", name="first")(image)
    x = layers.Conv2D(2, 3, padding="same", activation="tanh", name="low")(layers.MaxPooling2D()(x))
    x = layers.Concatenate()([image, layers.UpSampling2D()(x)])
    return keras.Model(image, layers.Conv2D(1, 1, name="last")(x))


def hashed():
    hashes = [layers.Hashing(9, name="once"), layers.Hashing(5, name="second")]
    return keras.Sequential([keras.Input((6,), name="x"), *hashes, layers.Dense(6, name="first")])


def hued():
    steps = [layers.RandomFlip(name="flip"), layers.RandomHue(0.2, name="hue"), layers.Flatten()]
    return keras.Sequential([keras.Input((2, 2, 3)), *steps, layers.Dense(2, name="first")])
