"""Whole networks of the kinds that are in use, built by hand: for images and for sequences."""

from model_case import SLOPE, model


@model()
def vision_transformer():
    """Patches by a convolution, a class token and positions by custom layers, blocks that normalize first."""
    import keras
    from keras import layers, ops

    class ClassToken(layers.Layer):
        def build(self, shape):
            self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token", initializer="zeros")

        def call(self, x):
            token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
            return ops.concatenate([token, x], axis=1)

    class Positions(layers.Layer):
        def build(self, shape):
            self.embedding = layers.Embedding(shape[1], shape[2], name="embedding")
            self.embedding.build(None)

        def call(self, x):
            return x + self.embedding(ops.arange(x.shape[1]))

    def block(x, name):
        y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 4, dropout=0.0, name=f"{name}_attention")(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_1")(x)
        y = layers.Dropout(0.0)(layers.Dense(16, activation="gelu", name=f"{name}_wide")(y))
        return layers.Add()([x, layers.Dense(8, name=f"{name}_narrow")(y)])

    image = keras.Input((8, 12, 3), name="image")
    x = layers.Conv2D(8, 4, strides=4, name="patches")(layers.Rescaling(1 / 2)(image))
    x = Positions(name="positions")(ClassToken(name="class_token")(layers.Reshape((-1, 8))(x)))
    for name in ("first", "second"):
        x = block(x, name)
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="head")(x[:, 0]))


@model()
def u_net_of_any_size():
    import keras
    from keras import layers

    def double(x, filters):
        for _ in range(2):
            x = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x))
            x = layers.Activation("relu")(x)
        return x

    image = keras.Input((None, None, 2), name="image")
    x, skips = layers.ZeroPadding2D(((0, 1), (1, 0)))(image), []
    for filters in (3, 4):
        x = double(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = double(x, 5)
    for filters, skip in zip((4, 3), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = double(layers.Concatenate()([x, skip]), filters)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x))


@model()
def wave_net():
    """Gates of dilated causal convolutions, with residuals and skips, over sequences of any length."""
    import keras
    from keras import layers

    steps = keras.Input((None, 2), name="steps")
    x, skips = layers.Conv1D(4, 2, padding="causal")(steps), []
    for dilation in (1, 2, 4):
        both = layers.Conv1D(8, 2, padding="causal", dilation_rate=dilation)(x)
        gated = layers.Activation("tanh")(both[..., :4]) * layers.Activation("sigmoid")(both[..., 4:])
        skips.append(layers.Conv1D(3, 1)(gated))
        x = layers.Add()([x, layers.Conv1D(4, 1)(gated)])
    x = layers.Activation("relu")(layers.Add()(skips))
    return keras.Model(steps, layers.Conv1D(5, 1, activation="softmax", name="next")(x))


@model(double=SLOPE)
def variational_decoder():
    import keras
    from keras import layers

    x = code = keras.Input((3,), name="code")
    x = layers.Reshape((2, 3, 4))(layers.Dense(24, activation="relu")(x))
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1, activation="leaky_relu")(x)
    return keras.Model(code, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid", name="image")(x))


@model(random=True)
def variational_autoencoder():
    """Its sampling draws in training only."""
    import keras
    from keras import layers, ops

    class Sampling(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.seed = keras.random.SeedGenerator(7)

        def call(self, mean, log_variance, training=False):
            if not training:
                return mean
            return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed)

    def encoder():
        image = keras.Input((6, 6, 1))
        x = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu")(image)
        x = layers.Dense(5, activation="relu")(layers.Flatten()(x))
        return keras.Model(image, [layers.Dense(2, name="mean")(x), layers.Dense(2, name="spread")(x)], name="encoder")

    def decoder():
        x = layers.Reshape((3, 3, 2))(layers.Dense(18, activation="relu")(code := keras.Input((2,))))
        x = layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")(x)
        return keras.Model(code, x, name="decoder")

    image = keras.Input((6, 6, 1), name="image")
    mean, log_variance = encoder()(image)
    code = Sampling(name="sampling")(mean, log_variance, training=False)
    return keras.Model(image, {"image": decoder()(code), "mean": mean, "log_variance": log_variance})


@model()
def siamese():
    """A trunk that is shared, the distance of what it gives, and a decision on it."""
    import keras
    from keras import layers, ops

    def trunk():
        x = image = keras.Input((6, 6, 1))
        x = layers.MaxPooling2D()(layers.Conv2D(3, 3, activation="relu")(x))
        x = layers.BatchNormalization()(layers.Dense(4)(layers.Flatten()(x)))
        return keras.Model(image, layers.UnitNormalization()(x), name="trunk")

    left, right, shared = keras.Input((6, 6, 1), name="left"), keras.Input((6, 6, 1), name="right"), trunk()
    difference = layers.Subtract()([shared(left), shared(right)])
    distance = ops.sqrt(ops.maximum(ops.sum(ops.square(difference), axis=1, keepdims=True), 1e-7))
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid", name="same")(distance))


@model()
def tabular():
    """Categories by embeddings and by encodings, numbers normalized, each column an input of its own type."""
    import keras
    import numpy as np
    from keras import layers

    city, kind = keras.Input((1,), dtype="int64", name="city"), keras.Input((1,), dtype="int32", name="kind")
    tags, numbers = keras.Input((3,), dtype="int32", name="tags"), keras.Input((4,), name="numbers")
    age = keras.Input((1,), name="age")
    normalization = layers.Normalization(name="normalized")
    normalization.adapt(np.random.default_rng(1).normal(3, 2, (20, 4)).astype(np.float32))
    columns = [
        layers.Flatten()(layers.Embedding(12, 3, name="cities")(city)),
        layers.CategoryEncoding(10, output_mode="one_hot")(kind),
        layers.CategoryEncoding(10, output_mode="multi_hot")(tags),
        normalization(numbers),
        layers.Discretization([-0.5, 0.0, 1.0], output_mode="one_hot")(age),
    ]
    x = layers.Concatenate()(columns)
    x = layers.Dropout(0.0)(layers.BatchNormalization()(layers.Dense(8, activation="relu")(x)))
    wide = layers.Dense(1, use_bias=False, name="wide")(normalization(numbers))
    deep = layers.Dense(1, name="deep")(x)
    inputs = {"city": city, "kind": kind, "tags": tags, "numbers": numbers, "age": age}
    return keras.Model(inputs, layers.Activation("sigmoid")(layers.Add()([wide, deep])))


@model(
    looser=(3e-6, "three convolutions and two normalizations"),
    no_double="TensorFlow has no AvgPool3D of float64 on a CPU",
)
def volumes_of_any_size():
    import keras
    from keras import layers

    x = volume = keras.Input((None, None, None, 2), name="volume")
    for filters in (3, 4):
        x = layers.Conv3D(filters, 2, padding="same", activation="relu")(x)
        x = layers.GroupNormalization(1)(layers.SpatialDropout3D(0.0)(x))
    x = layers.UpSampling3D(2)(layers.AveragePooling3D(2, padding="same")(x))
    return keras.Model(volume, layers.Dense(2)(layers.GlobalAveragePooling3D()(layers.Conv3D(2, 1)(x))))
