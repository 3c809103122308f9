"""Small models with tensors that no machine holds, for the Keras process of these tests."""

import keras
import tensorflow as tf
from keras import layers

from bridge.keras_side import jobs


def _attention():
    x = keras.Input((10**6, 8))
    return keras.Model(x, layers.GlobalMaxPooling1D()(layers.Attention(name="scores")([x, x])))


def _tile():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2)(keras.ops.tile(x, [1, 10**9])[:, :3]))


def _program(folder):
    made = tf.Module()
    made.scale = tf.Variable(2.0)
    ones = [tf.TensorSpec((None, 4))]
    made.call = tf.function(lambda x: x * made.scale + tf.reduce_sum(tf.fill([10**5, 10**5], 1e-9)), ones)
    tf.saved_model.save(made, folder, signatures=made.call)


_MODELS = {
    "padded": lambda: keras.Sequential([keras.Input((4, 3)), layers.ZeroPadding1D(10**9, name="pad")]),
    "of any length": lambda: keras.Sequential([keras.Input((None, 3)), layers.UpSampling1D(10**8, name="up")]),
    "beyond whole numbers": lambda: keras.Sequential(
        [keras.Input((None, 3)), *(layers.UpSampling1D(1000) for _ in range(4))]
    ),
    "attention": _attention,
    "between layers": _tile,
}


def trace_huge(kind, folder):
    """Asks for a conversion of such a model, saved in the folder."""
    path = f"{folder}/{'saved' if kind == 'program' else 'huge.keras'}"
    _program(path) if kind == "program" else _MODELS[kind]().save(path)
    jobs.job_trace({"path": path})
