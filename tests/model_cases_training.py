"""Models whose own code does another thing in training: alive in torch's train() too."""

from model_case import model


@model()
def statistics_of_ones_own():
    """A normalization written by hand: the batch's statistics in training, moving ones in inference."""
    import keras
    from keras import layers, ops

    class Centered(layers.Layer):
        def build(self, shape):
            self.inner = layers.Dense(shape[-1], name="inner", kernel_regularizer="l2")
            self.inner.build(shape)
            self.scale = self.add_weight(shape=(shape[-1],), name="scale")
            self.moving = self.add_weight(shape=(shape[-1],), name="moving", trainable=False)

        def call(self, x, training=None):
            x = self.inner(x)
            if training:
                center = ops.mean(x, axis=0)
                self.moving.assign(0.9 * self.moving + 0.1 * center)
            else:
                center = self.moving
            return (x - center) * self.scale

    x = keras.Input((4,), name="x")
    y = layers.Dense(5, activation="tanh")(x)
    for number in range(2):
        y = y + Centered(name=f"centered_{number}")(y)
    return keras.Model(x, layers.Dense(2, activation="softmax")(y))


@model()
def a_kernel_normalized_by_power_iteration():
    """The backward pass needs the vector that training replaces in the forward one, as it was."""
    import keras
    from keras import layers, ops

    class Normalized(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 3), name="w")
            self.u = self.add_weight(shape=(1, 3), name="u", trainable=False)

        def call(self, x, training=None):
            v = ops.normalize(ops.matmul(self.u, ops.transpose(self.w)))
            u = ops.normalize(ops.matmul(v, self.w))
            sigma = ops.matmul(ops.matmul(v, self.w), ops.transpose(u))
            if training:
                self.u.assign(u)
            return ops.matmul(x, self.w / sigma)

    return keras.Sequential([keras.Input((4,)), Normalized(name="normalized")])


@model()
def subclassed_model_with_a_head_for_training():
    """The model itself asks, its layers are called in both ways, and a loss is added in training alone."""
    import keras
    import numpy as np
    from keras import layers, ops

    class TwoWays(keras.Model):
        def __init__(self):
            super().__init__(name="two_ways")
            self.trunk = layers.Dense(4, activation="relu", name="trunk")
            self.norm = layers.BatchNormalization(name="norm")
            self.head, self.other = layers.Dense(3, name="head"), layers.Dense(3, name="other")

        def call(self, x, training=False):
            y = self.norm(self.trunk(x), training=training)
            if training:
                self.add_loss(ops.mean(ops.square(self.other(y))))
                return {"scores": self.head(y) * 0.5, "hidden": y}
            return {"scores": self.head(y), "hidden": y}

    made = TwoWays()
    made(np.zeros((2, 4), np.float32), training=True)
    return made


@model()
def a_choice_within_a_nested_model_used_twice():
    """A layer asks for the flag as a tensor in a function that it calls, another one as a number."""
    import keras
    from keras import layers, ops

    class Scaled(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(), name="factor", initializer="ones")

        def ways(self, x, training):
            return ops.where(training, ops.tanh(x), x) * self.factor

        def call(self, x, training=False):
            return [self.ways(x, training), x]

    class Doubled(layers.Layer):
        def call(self, x, training=False):
            return x * (1.0 + float(training))

    part = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name="part")
    x = inner = keras.Input((4,))
    y, same = Scaled(name="scaled")(part(inner))
    nested = keras.Model(inner, y + Doubled(name="doubled")(same), name="nested")
    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(2)(nested(nested(x))))


@model()
def the_flag_in_every_way():
    """Ways to ask that no object can notice, and layers that see the flag without being given it."""
    import keras
    import numpy as np
    from keras import layers, ops

    class Asks(layers.Layer):
        def __init__(self, ways, **options):
            super().__init__(**options)
            self.ways, self.__dict__["box"] = ways, {}

        def call(self, x, training=False):
            self.box["training"] = training
            return sum(way(x, training) for way in self.ways)

    class Sees(layers.Layer):
        def __init__(self, box, **options):
            super().__init__(**options)
            self.__dict__["box"] = box

        def call(self, x):
            return x * (2.0 if self._get_call_context().get_value("training") and self.box["training"] else 1.0)

    def by_match(x, training):
        match training:
            case True:
                return ops.tanh(x)
        return ops.sin(x)

    names = {"True": ops.tanh, "False": ops.sin}
    ways = [
        lambda x, training: x * [0.5, 2.0][training],
        lambda x, training: {True: ops.tanh, False: ops.sin}[training](x),
        lambda x, training: x if training is not False else x * 3.0,
        lambda x, training: x if type(training) is bool and isinstance(training, bool) and training else -x,
        lambda x, training: x * np.where(training, 2.0, 0.5).astype(x.dtype.name) + int(training) + sum([training]),
        lambda x, training: names[f"{training}"](x) if training in {True} else x * (1 - training),
        lambda x, training: ops.cond(training, lambda: ops.tanh(x), lambda: ops.sin(x)),
        by_match,
    ]

    class Picks(Asks):
        """The operations are the same in both ways, what they are given is not."""

        def build(self, shape):
            self.a, self.b = (self.add_weight(name=name, shape=(shape[-1],)) for name in "ab")
            self.twice, self.attention = Asks([lambda x, training: ops.sin(x)], name="twice"), layers.Attention()

        def call(self, x, training=False):
            return x + sum(way(self, x, training) for way in self.ways)

    def another_call(layer, x, training):
        first, second = layer.twice(x), layer.twice(x * 2.0)
        return first if training else second

    def in_a_loop(layer, x, training):
        def step(i, y, z):
            return i + 1, y * z - (y if training else z), z

        return ops.while_loop(lambda i, y, z: i < 2, step, (0, ops.sin(x), ops.cos(x)))[1]

    def attended(layer, x, training):
        x = ops.stack([x, x * layer.b], axis=1)
        return layer.attention([x, x], use_causal_mask=bool(training))[:, 0]

    picks = [lambda layer, x, training: x * (layer.a if training else layer.b), another_call, in_a_loop, attended]

    class Outer(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.picks = [Picks([way], name=f"picks_{i}") for i, way in enumerate(picks)]
            self.norm, self.asks = layers.BatchNormalization(name="norm"), Asks(ways, name="asks")
            self.frozen, self.sees = layers.BatchNormalization(name="frozen"), Sees(self.asks.box, name="sees")

        def call(self, x, training=None):
            x = self.asks(self.norm(x, training=bool(training)))
            for layer in self.picks:
                x = layer(x)
            return self.sees(self.frozen(x, training=False))

    x = keras.Input((4,), name="x")
    return keras.Model(x, layers.Dense(2, name="dense")(Outer(name="outer")(x)))


@model(random=True)
def stochastic_depth_of_ones_own():
    import keras
    from keras import layers, ops

    class DropPath(layers.Layer):
        def __init__(self, rate, **options):
            super().__init__(**options)
            self.rate, self.seed = rate, keras.random.SeedGenerator()

        def call(self, x, training=None):
            if not training:
                return x
            shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
            kept = 1 - self.rate
            return x / kept * ops.floor(kept + keras.random.uniform(shape, seed=self.seed))

    x = keras.Input((3, 4), name="x")
    y = x + DropPath(0.5, name="path_0")(layers.Dense(4, name="dense_0")(x))
    return keras.Model(x, y + DropPath(0.5, name="path_1")(layers.Dense(4, name="dense_1")(y)))


@model(random=True)
def noise_of_every_kind():
    """Keras's and TensorFlow's random functions, with seeds and without."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    class Noisy(layers.Layer):
        def call(self, x, training=None):
            if not training:
                return x
            drawn = [
                keras.random.normal(ops.shape(x), mean=1.0, stddev=0.5),
                keras.random.uniform(ops.shape(x), -2.0, 3.0),
                ops.cast(keras.random.randint(ops.shape(x), 2, 7), "float32"),
                keras.random.dropout(x, 0.3),
                tf.nn.dropout(x, rate=0.4, noise_shape=[None, 1]),
                tf.random.normal(tf.shape(x), stddev=2.0) + tf.random.uniform(tf.shape(x)),
                tf.random.stateless_normal(tf.shape(x), [1, 2]),
                ops.cast(keras.random.categorical(x * [0.0, 0, 1, 2, 0, 0, 0, 0], 8), "float32"),
            ]
            return ops.concatenate([ops.sum(ops.stack(drawn), axis=0), *drawn], axis=-1)[:, :8] + x * 0

    x = keras.Input((8,), name="x")
    return keras.Model(x, Noisy(name="noisy")(x))


@model(random=True)
def another_form_in_training():
    """What cannot live in torch is told by name: more features than in inference, a draw that ONNX has no form for."""
    import keras
    from keras import layers, ops

    class Wider(layers.Layer):
        def call(self, x, training=None):
            return ops.concatenate([x, x], axis=-1) if training else x

    class Gamma(layers.Layer):
        def call(self, x, training=None):
            return x * keras.random.gamma(ops.shape(x), 1.0) if training else x

    x = keras.Input((4,), name="x")
    return keras.Model(x, Gamma(name="gamma")(Wider(name="wider")(x)))


@model()
def gradients_of_ones_own():
    """What torch would find is another gradient than the code says: of several tensors, of a weight, in a loop."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    @ops.custom_gradient
    def reversing(x):
        def gradient(*arguments, upstream=None):
            return -(arguments[0] if upstream is None else upstream)

        return x, gradient

    @tf.custom_gradient
    def straight(x):
        return tf.sign(x), lambda upstream: upstream * tf.cast(tf.abs(x) <= 1, x.dtype)

    @tf.custom_gradient
    def scaled(x, w, places):
        def gradient(upstream, other):
            return tf.clip_by_norm(upstream * w, 0.5), tf.reduce_sum(other * x, 0), None

        return (tf.gather(x * w, places, axis=1), x), gradient

    @tf.custom_gradient
    def counted(places):
        return tf.cast(places, tf.float32), lambda upstream: None

    class Own(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1],), name="w")

        def call(self, x, training=None):
            x = x * tf.cast(counted(tf.shape(x))[1], x.dtype)
            y, z = scaled(reversing(ops.silu(x)), tf.convert_to_tensor(self.w), tf.constant([3, 2, 1, 0]))
            y = tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, reversing(y * self.w)), [0, y])[1]
            return (straight(y) if training else y) + straight(z) + tf.grad_pass_through(tf.square)(x)

    x = keras.Input((4,))
    y = layers.Dense(4, activation="tanh")(x)
    return keras.Model(x, layers.Dense(2)(Own(name="own")(y)))


@model()
def a_gradient_that_keras_says():
    import keras
    from keras import layers, ops

    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2)(ops.silu(ops.relu6(x))))


@model()
def a_reader_of_texts_as_it_is_trained():
    """With the layer that adds its CTC loss, whose weight is 0 here, as Keras's tutorial on captchas has it."""
    import keras
    from keras import layers, ops
    from keras.src.legacy.backend import ctc_batch_cost

    class Loss(layers.Layer):
        def call(self, y_true, y_pred):
            rows = ops.cast(ops.shape(y_true)[0], dtype="int64")
            given, written = (ops.shape(y)[1] * ops.ones((rows, 1), dtype="int64") for y in (y_pred, y_true))
            self.add_loss(0.0 * ops.sum(ctc_batch_cost(y_true, y_pred, given, written)))
            return y_pred

    x, label = keras.Input((8, 4), name="image"), keras.Input((3,), dtype="int32", name="label")
    y = layers.Dense(12, activation="softmax", name="softmax")(
        layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    )
    return keras.Model([x, label], Loss(name="ctc")(label, y))


@model()
def texts_read_greedily():
    import keras
    from keras import layers, ops

    class Read(layers.Layer):
        def __init__(self, **options):
            super().__init__(name=f"read_{len(options)}")
            self.options = options

        def call(self, x, lengths):
            texts, scores = ops.ctc_decode(x, lengths % 7, **self.options)
            return ops.cast(ops.transpose(texts, (1, 0, 2)), "float32"), scores

    x, lengths = keras.Input((6, 3)), keras.Input((), dtype="int32")
    y = x + layers.Dense(3)(x)
    every = [Read()(y, lengths), Read(mask_index=-1, merge_repeated=False)(y, lengths)]
    return keras.Model([x, lengths], every)
