"""Models of the layers that wrap others, look numbers up, or go both ways."""

from model_case import model


@model()
def tied_language_model():
    import keras
    from keras import layers

    words = layers.ReversibleEmbedding(10, 4, mask_zero=True, logit_soft_cap=3.0, name="words")
    x = keras.Input((5,), dtype="int32")
    hidden = layers.Dense(4, activation="tanh", name="hidden")(words(x))
    return keras.Model(x, words(hidden, reverse=True))


@model()
def untied_language_model_with_attention():
    import keras
    from keras import layers

    words = layers.ReversibleEmbedding(10, 4, mask_zero=True, tie_weights=False, name="words")
    x = keras.Input((5,), dtype="int32")
    h = words(x)
    h = layers.MultiHeadAttention(2, 2, name="attention")(h, h)
    return keras.Model(x, words(layers.LayerNormalization(name="norm")(h), reverse=True))


@model()
def discriminator_called_twice():
    """As a GAN's training calls it: each call normalizes the kernels once more, and both have gradients."""
    import keras
    from keras import layers

    stack = [
        layers.SpectralNormalization(layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"), name="first"),
        layers.Flatten(),
        layers.SpectralNormalization(layers.Dense(1), power_iterations=2, name="last"),
    ]
    critic = keras.Sequential([keras.Input((6, 6, 2)), *stack], name="critic")
    real, fake = keras.Input((6, 6, 2), name="real"), keras.Input((6, 6, 2), name="fake")
    return keras.Model([real, fake], [critic(real), critic(fake)])


@model()
def spectral_normalization_in_inference_mode():
    import keras
    import numpy as np
    from keras import layers

    class Fixed(keras.Model):
        def __init__(self):
            super().__init__(name="fixed")
            self.norm = layers.SpectralNormalization(layers.Dense(3, name="sizes"), name="norm")

        def call(self, x):
            return self.norm(x, training=False)

    made = Fixed()
    made(np.zeros((2, 4), np.float32))
    return made


@model()
def tabular_with_lookups():
    import keras
    from keras import layers

    kind, tags = keras.Input((1,), dtype="int64", name="kind"), keras.Input((3,), dtype="int64", name="tags")
    age = keras.Input((1,), name="age")
    kinds = layers.IntegerLookup(vocabulary=[3, 7, 5], output_mode="one_hot", name="kinds")(kind)
    place = layers.IntegerLookup(vocabulary=[1, 2, 4, 8], mask_token=0, name="places")(tags)
    words = layers.Flatten()(layers.Embedding(6, 2, name="words")(place))
    both = layers.Concatenate()([kinds, words, layers.Normalization(mean=30.0, variance=9.0)(age)])
    return keras.Model({"kind": kind, "tags": tags, "age": age}, layers.Dense(2, name="out")(both))


@model(values="bytes")
def pipeline_of_layers():
    import keras
    from keras import layers

    x = keras.Input((4, 3), dtype="uint8")
    ready = layers.Pipeline([layers.Rescaling(1 / 255), layers.Rescaling(2.0, -1.0)], name="ready")
    return keras.Model(x, layers.Dense(2, name="out")(ready(x)))


@model(refused=r"norm \(SpectralNormalization\): its input is int32, and Keras makes such numbers of its output")
def spectral_normalization_of_an_embedding():
    import keras
    from keras import layers

    embedding = layers.Embedding(5, 3)
    return keras.Sequential([keras.Input((4,), dtype="int32"), layers.SpectralNormalization(embedding, name="norm")])


@model(refused=r"ids \(IntegerLookup\): with num_oov_indices=0 Keras stops at a number")
def lookup_that_stops():
    import keras
    from keras import layers

    ids = layers.IntegerLookup(vocabulary=[1, 2], num_oov_indices=0, name="ids")
    return keras.Sequential([keras.Input((4,), dtype="int64"), ids])


@model(refused=r"ids \(IntegerLookup\): its option oov_method='farmhash'")
def lookup_that_hashes():
    import keras
    from keras import layers

    ids = layers.IntegerLookup(vocabulary=[1, 2], num_oov_indices=2, oov_method="farmhash", name="ids")
    return keras.Sequential([keras.Input((4,), dtype="int64"), ids])


@model(refused=r"words \(StringLookup\): text can't be converted; split .*: --from-layer vectors --from-layer dots")
def text_lookup():
    import keras
    from keras import layers

    x = keras.Input((3,), dtype="string")
    place = layers.StringLookup(vocabulary=["a", "b"], name="words")(x)
    both = [layers.Embedding(4, 2, name=name)(place) for name in ("vectors", "dots")]
    return keras.Model(x, layers.Dense(2, name="out")(layers.Add()(both)))


@model()
def lambda_layers():
    """Traced operator by operator: by a file they get here with --unsafe alone."""
    import keras
    from keras import layers, ops

    x = keras.Input((4,))
    h = layers.Dense(4, name="first")(x)
    h = layers.Lambda(lambda t, power: ops.abs(t) ** power + t, arguments={"power": 2.0}, name="powers")(h)
    halves = layers.Lambda(lambda t: (t[:, :2], t[:, 2:]), output_shape=[(2,), (2,)], name="halves")(h)
    return keras.Model(x, layers.Dense(3, name="last")(layers.Multiply()(list(halves))))


@model(refused=r"hidden \(Dense\): the model makes this layer anew in each call|hidden \(Dense\)")
def lambda_that_hides_a_layer():
    import keras
    from keras import layers

    hidden = layers.Dense(4, name="hidden")
    hidden.build((None, 4))
    x = keras.Input((4,))
    return keras.Model(x, layers.Lambda(lambda t: hidden(t), output_shape=(4,), name="wrapper")(x))
