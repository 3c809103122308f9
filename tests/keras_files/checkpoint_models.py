"""Models of the tests' checkpoints: of tf_keras for tools/make_checkpoints.py, which makes these, else of Keras 3."""

import importlib
import os

keras = importlib.import_module(os.environ.get("CHECKPOINTS_BY", "keras"))
layers = keras.layers


def numbered():
    """A functional model: nested, shared, recurrent and normalizing layers, attention, two layers alike."""
    steps, inner = keras.Input((4, 3), name="steps"), keras.Input((3,))
    block = keras.Model(inner, layers.BatchNormalization()(layers.Dense(3, "relu")(inner)), name="block")
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(steps)
    x = layers.TimeDistributed(layers.Dense(3))(x)
    x = layers.MultiHeadAttention(1, 2, name="attention")(x, x)
    x = layers.GRU(3)(layers.Dropout(0.2)(x))
    x = layers.Add()([block(x), block(layers.Dense(3)(x)), layers.Dense(3)(x)])
    return keras.Model(steps, layers.Dense(2, name="out")(x))


class Blocks(keras.Model):
    """Layers as attributes, in a list and in a dictionary, not in the order of their calls; a weight of its own."""

    def __init__(self):
        super().__init__()
        self.last, self.norm = layers.Dense(3), layers.BatchNormalization()
        self.blocks = [layers.Dense(3, "relu"), layers.Dense(3, "tanh")]
        self.heads = {"b": layers.Dense(3), "a": layers.Dense(3)}
        self.body = keras.Sequential([layers.Dense(3), layers.Dense(3)])
        self.tracker = keras.metrics.Mean()  # of a loss, as many keep one: no weight
        self.scale = self.add_weight(name="scaling", shape=(3,), initializer="ones")

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(self.body(self.norm(self.heads["a"](x) * self.scale + self.heads["b"](x))))


def attributes():
    model = Blocks()
    model.build((None, 3)) if os.environ.get("CHECKPOINTS_BY") else model(keras.ops.zeros((1, 3)))
    return model


def named():
    """What TensorFlow 1 saved by the names of variables alone."""
    x = keras.Input((4, 3))
    y = layers.BatchNormalization()(layers.LSTM(2, name="lstm")(x))
    return keras.Model(x, layers.Dense(2, name="dense_1")(layers.Dense(3, "relu", name="dense")(y)))


def stack():
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, "relu"), layers.Dense(2, name="out")])
