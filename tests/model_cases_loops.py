"""Whole models that call layers within loops and conditions of their own code: they are alive there."""

from model_case import model


def _loop(call, *parts, shape=(6,)):
    """A model of one layer, before a Dense one, whose code is `call`; parts: the layers that it has, by their names."""
    import keras
    from keras import layers

    class Loop(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            for part in parts:
                setattr(self, part.name, part)
                part.build((None, *shape))

        def call(self, x, training=None):
            return call(self, x, training)

    x = keras.Input(shape)
    return keras.Model(x, layers.Dense(2, name="head")(Loop(name="loop")(x)))


@model()
def layers_in_a_loop():
    """They are what they compute there, their weights parameters under their paths."""
    import keras
    from keras import layers, ops

    class Repeated(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(6, activation="tanh", kernel_regularizer="l2", name="dense")
            self.norm = layers.LayerNormalization(name="norm")

        def build(self, shape):
            self.dense.build(shape)
            self.norm.build(shape)

        def call(self, x):
            return ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.norm(self.dense(y) + x)), (0, x))[1]

    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(2, name="head")(Repeated(name="repeated")(x)))


@model()
def statistics_in_a_loop():
    """A BatchNormalization moves its statistics in each step, as Keras's does; no gradient goes through the second."""
    from keras import layers, ops

    def call(self, x, training):
        def step(i, y):
            y = self.norm(self.dense(y) + x, training=training)
            return i + 1, y + ops.stop_gradient(ops.square(y))

        return ops.while_loop(lambda i, y: i < 3, step, (0, x))[1]

    return _loop(call, layers.Dense(6, activation="tanh", name="dense"), layers.BatchNormalization(name="norm"))


@model(random=True)
def dropout_in_a_loop():
    from keras import layers, ops

    def call(self, x, training):
        return ops.fori_loop(0, 3, lambda i, y: self.drop(y, training=training), x)

    return _loop(call, layers.Dropout(0.5, name="drop"))


@model()
def layers_in_branches():
    from keras import layers, ops

    def call(self, x, training):
        def one():
            return self.norm(x, training=training)

        def other():
            return self.dense(x) * ops.max(self.dense(x - 1.0))

        return ops.cond(ops.sum(x[0]) > 0.0, one, other)

    return _loop(call, layers.Dense(6, name="dense"), layers.BatchNormalization(name="norm"))


@model(no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def layers_in_tensorflows_loops():
    """map_fn, and a `for` that autograph writes; a recurrent layer and one within another loop."""
    import tensorflow as tf
    from keras import layers

    @tf.function
    def repeated(self, x):
        for _ in tf.range(2):
            x = x + self.rnn(x) * self.norm(x)
        return x

    def call(self, x, training):
        steps = tf.map_fn(lambda now: self.dense(now), tf.transpose(x, (1, 0, 2)))
        y = repeated(self, tf.transpose(steps, (1, 0, 2)))
        return tf.map_fn(lambda row: tf.map_fn(lambda now: self.dense(now[None])[0], row), y)

    parts = [layers.Dense(4, activation="tanh", name="dense"), layers.GRU(4, return_sequences=True, name="rnn")]
    return _loop(call, *parts, layers.LayerNormalization(name="norm"), shape=(3, 4))


@model()
def own_code_in_training_in_a_loop():
    """A layer of the model's own that does another thing in training, and assigns to a variable, in each step."""
    from keras import layers, ops

    class Own(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), name="scale", initializer="ones")
            self.mean = self.add_weight(shape=(shape[-1],), name="mean", initializer="zeros", trainable=False)

        def call(self, x, training=None):
            if training:
                self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(x, axis=0))
                return x * self.scale * 2.0
            return (x - self.mean) * self.scale

    def call(self, x, training):
        return ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, self.own(y, training=training)), (0, x))[1]

    return _loop(call, Own(name="own"))


@model(
    refused=r"loop/dense \(Dense\): it is called inside a loop .*penalty would be lost; loop \(Loop\): it adds a loss"
)
def losses_in_a_loop():
    from keras import layers, ops

    def call(self, x, training):
        def step(i, y):
            y = self.dense(y)
            self.add_loss(ops.mean(y))
            return i + 1, y

        return ops.while_loop(lambda i, y: i < 3, step, (0, x))[1]

    return _loop(call, layers.Dense(6, activity_regularizer="l2", name="dense"))


@model(no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def recurrent_layers_with_functions_of_ones_own():
    import keras
    from keras import layers, ops

    x = keras.Input((5, 4))
    y = layers.LSTM(3, activation=lambda x: ops.sin(x) * 0.9, return_sequences=True, name="wave")(x)
    y = layers.GRU(3, recurrent_activation=lambda x: ops.sigmoid(1.5 * x), go_backwards=True, name="steep")(y)
    return keras.Model(x, y)


@model(random=True, no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def dropout_around_functions_of_ones_own():
    """Of a recurrent layer, alive in training, and of a cell that own code calls, which is told."""
    import keras
    from keras import layers, ops

    class Own(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.cell = layers.SimpleRNNCell(3, dropout=0.5, name="cell")

        def build(self, shape):
            self.cell.build((None, shape[-1]))

        def call(self, x):
            return self.cell(x[:, 0], [x[:, 1]], training=None)[0]

    x = keras.Input((3, 4))
    y = layers.LSTM(3, activation=lambda x: ops.sin(x), dropout=0.4, return_sequences=True, name="wave")(x)
    return keras.Model(x, Own(name="own")(y))
