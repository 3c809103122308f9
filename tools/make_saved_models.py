"""Small SavedModels of Keras 2 for the tests, with its outputs on fixed inputs: tests/keras_files/saved_models.

Run it where tf_keras 2 is installed (pip install tf_keras; the tests need none): python tools/make_saved_models.py
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM
from tf_keras.src.saving.legacy import hdf5_format

layers = keras.layers
FOLDER = Path(__file__).parents[1] / "tests" / "keras_files" / "saved_models"


def mlp() -> keras.Model:
    """Compiled and trained for a step: the file then holds an optimizer's variables and counters."""
    model = keras.Sequential(
        [layers.Dense(5, "relu", input_shape=(6,)), layers.Dropout(0.3), layers.Dense(3, "softmax", name="out")]
    )
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 6), "float32"), np.ones((4, 3), "float32"), verbose=0)
    return model


def cnn() -> keras.Model:
    image = keras.Input((8, 8, 2), name="image")
    x = layers.Conv2D(3, 3, padding="same", use_bias=False)(image)
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return keras.Model(image, layers.Dense(2)(x), name="cnn")


def two_inputs() -> keras.Model:
    """A shared layer, two outputs."""
    a, b, shared = keras.Input((4,), name="a"), keras.Input((4,), name="b"), layers.Dense(3, "tanh", name="shared")
    joined = layers.LayerNormalization()(layers.Concatenate()([shared(a), shared(b)]))
    return keras.Model([a, b], [layers.Dense(2, name="left")(joined), layers.Dense(1, name="right")(joined)])


class Scaled(keras.Model):
    """A class of its own: a config says nothing of what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = layers.Dense(4, "relu"), layers.Dense(2)
        self.scale = self.add_weight("scale", (4,), initializer="ones")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.out(self.inner(x) * self.scale)


def subclassed() -> keras.Model:
    model = Scaled()
    model(np.zeros((1, 3), "float32"))
    return model


def cudnn() -> keras.Model:
    """Layers for GPUs: their weights lie in another order than those of LSTM and GRU."""
    steps = keras.Input((5, 3), name="steps")
    both = layers.Bidirectional(CuDNNGRU(2, return_sequences=True))(steps)
    return keras.Model(steps, layers.Dense(2)(CuDNNLSTM(3)(both)))


def without_gpu(model: keras.Model) -> keras.Model:
    """The same of layers that a CPU can compute, with the weights in Keras's own translation of them."""
    config = model.get_config()
    text = json.dumps(config).replace("CuDNNGRU", "GRU").replace("CuDNNLSTM", "LSTM")
    twin = keras.Model.from_config(json.loads(text))
    for mine, other in zip(twin.layers, model.layers, strict=True):
        given = hdf5_format.preprocess_weights_for_loading(mine, other.get_weights(), original_keras_version="2")
        mine.set_weights(given)
    return twin


TRACED = ("mlp", "subclassed")  # with the layers' own functions, which are large, and a signature
MODELS = {"mlp": mlp, "cnn": cnn, "two_inputs": two_inputs, "subclassed": subclassed, "cudnn": cudnn}


def make(name: str) -> None:
    """Saves a model with random weights, biases and statistics included, and its outputs beside it."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    model, random = MODELS[name](), np.random.default_rng(3)
    model.set_weights([_values(random, v) for v in model.weights])
    specs = {s.name: s for s in tf.nest.flatten(model.inputs)} if model.inputs else {"input_1": (None, 3)}
    x = {key: random.normal(size=(5, *tuple(s.shape if hasattr(s, "shape") else s)[1:])) for key, s in specs.items()}
    x = {key: value.astype("float32") for key, value in x.items()}
    given = [tf.constant(value) for value in x.values()]
    outputs = tf.nest.flatten(
        (without_gpu(model) if name == "cudnn" else model)(given if len(given) > 1 else given[0], training=False)
    )
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save(folder, save_format="tf", save_traces=name in TRACED)
    np.savez(FOLDER / f"{name}.npz", *[o.numpy() for o in outputs], **{f"in_{key}": value for key, value in x.items()})


def as_of_old(folder: Path, target: Path) -> None:
    """A copy in the form of TensorFlow 2.4 and older: Keras's metadata in the object graph, no file of its own."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    metadata = SavedMetadata.FromString((target / "keras_metadata.pb").read_bytes())
    saved = SavedModel.FromString((target / "saved_model.pb").read_bytes())
    for node in metadata.nodes:
        saved.meta_graphs[0].object_graph_def.nodes[node.node_id].user_object.metadata = node.metadata
    (target / "saved_model.pb").write_bytes(saved.SerializeToString(deterministic=True))
    (target / "keras_metadata.pb").unlink()
    (target / "fingerprint.pb").unlink()


def _values(random: np.random.Generator, variable: tf.Variable) -> np.ndarray:
    values = random.normal(0, 0.6, variable.shape)
    return np.abs(values) + 0.5 if "variance" in variable.name or "gamma" in variable.name else values


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MODELS:
        make(name)
    as_of_old(FOLDER / "cnn", FOLDER / "cnn_2_4")
