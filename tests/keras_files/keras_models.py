"""The models of the tests of files: small ones of many layers, as Keras makes them."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def mlp():
    return keras.Sequential(
        [keras.Input((6,)), *[layers.Dense(n, activation=a) for n, a in ((5, "relu"), (5, "relu"), (3, "softmax"))]]
    )


def no_bias():
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, use_bias=False), layers.Dense(3)])


def many():
    return keras.Sequential([keras.Input((4,)), *[layers.Dense(4) for _ in range(12)]])


def functional():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(4, name="shared", kernel_regularizer="l2")
    joined = layers.Concatenate()([shared(a), shared(b)])
    out = layers.Dense(2, name="out", activation="softmax")(layers.Dropout(0.5)(joined))
    return keras.Model([a, b], [out, layers.Dense(1, name="value")(joined)])


def with_operations():
    a = keras.Input((4,), name="a")
    x = layers.Dense(4)(a) * 2.0 + layers.Dense(4)(a)
    return keras.Model(a, layers.Dense(2)(x)[:, 0])


def nested():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()], name="encoder")
    a = keras.Input((4,))
    return keras.Model(a, layers.Dense(2)(inner(a)))


def frozen():
    model = nested()
    model.get_layer("encoder").trainable = False
    return model


def adapted():
    numbers = keras.Input((3,), dtype="int32")
    stack = [
        layers.Embedding(50, 4),
        layers.EinsumDense("abc,cd->abd", (None, 5)),
        layers.Conv1D(4, 2),
        layers.Dense(2),
    ]
    x = numbers
    for layer in stack:
        x = layer(x)
    model = keras.Model(numbers, x)
    for layer in stack:
        layer.enable_lora(2, lora_alpha=4)
    return model


def features():
    space = keras.utils.FeatureSpace({"a": "float_normalized", "b": "float_rescaled"}, output_mode="concat")
    space.adapt(tf.data.Dataset.from_tensors({name: np.arange(6.0)[:, None] for name in "ab"}))
    return keras.Model(space.get_inputs(), layers.Dense(2)(space.get_encoded_features()))


def normalised():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)).astype("float32"))
    steps = [
        layer,
        layers.Dense(4),
        layers.BatchNormalization(scale=False),
        layers.PReLU(),
        layers.LayerNormalization(),
    ]
    return keras.Sequential([keras.Input((4,)), *steps, layers.GaussianNoise(0.1), layers.Dense(2)])


def with_lambda():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Lambda(lambda x: x * 2, (3,), name="twice")])


def with_vocabularies():
    """Adapted to whole numbers, which convert, and to text, which doesn't."""
    numbers, words = keras.Input((3,), dtype="int64", name="numbers"), keras.Input((), dtype="string", name="words")
    places = layers.IntegerLookup(num_oov_indices=2, mask_token=0, name="places")
    weighted = layers.IntegerLookup(output_mode="tf_idf", name="weighted")
    for layer in (places, weighted):
        layer.adapt(np.array([[5, 2, 9], [5, 2, 4], [5, 7, 4]]))
    text = layers.TextVectorization(output_mode="tf_idf", name="text")
    text.adapt(["a b", "b c", "b"])
    look = layers.StringLookup(name="look")
    look.adapt(["x", "y", "y"])
    found = [layers.Flatten()(layers.Embedding(9, 2)(places(numbers))), weighted(numbers)]
    found += [layers.Dense(2, name="topics")(text(words)), layers.Embedding(4, 2)(look(words))]
    return keras.Model([numbers, words], layers.Dense(2, name="out")(layers.Concatenate(name="join")(found)))


def pictures():
    return keras.Sequential(
        [
            keras.Input((14, 10, 3)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="dw"),
            layers.SeparableConv2D(12, (3, 1), padding="same", activation="relu"),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(4, activation="softmax"),
        ]
    )


def pooled():
    return keras.Sequential(
        [
            keras.Input((12, 12, 4)),
            layers.Conv2D(8, 3, strides=2),
            layers.Conv2D(6, 3, groups=2, activation="relu"),
            layers.BatchNormalization(scale=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(2),
        ]
    )


def words():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(50, 8),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.Conv1D(7, 2, activation="relu"),
            layers.GRU(5, reset_after=False),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def tied():
    """A table of words that is the projection back, transposed, in a layer and between layers."""
    word = keras.Input((4,), dtype="int32")
    table = layers.ReversibleEmbedding(30, 8)
    x = keras.ops.tanh(table(word))
    y = table(layers.EinsumDense("abc,cd->abd", (None, 8))(x), reverse=True)
    return keras.Model(word, layers.EinsumDense("abc,dc->abd", (None, 6))(y))


def pictures_from_codes():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(3 * 2 * 6, activation="relu"),
            layers.Reshape((3, 2, 6)),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
            layers.Conv2D(1, 3, activation="sigmoid"),
        ]
    )


def tagged():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(50, 3),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum"),
            layers.TimeDistributed(layers.Dense(5, activation="relu")),
            layers.GRU(3),
            layers.Dense(2),
        ]
    )


def frames():
    within = [layers.Conv2D(2, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    steps = [layers.TimeDistributed(layer) for layer in within]
    return keras.Sequential([keras.Input((3, 6, 6, 1)), *steps, layers.LSTM(4), layers.Dense(2)])


CASES = {
    f.__name__: f
    for f in (
        *(mlp, no_bias, many, functional, with_operations, nested, frozen, normalised, with_lambda),
        *(pictures, pooled, words, tied, tagged, frames, pictures_from_codes, adapted, features),
    )
}


def randomised(model, seed=1):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in weight.dtype:
            weight.assign(rng.uniform(0.1, 1, weight.shape))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model
