"""What users write beside Keras: layers, cells, models, losses, functions; and models made of them."""

import keras
from custom_neighbour import Neighbour
from keras import layers, ops

register = keras.saving.register_keras_serializable


@register("lib")
def wave(x):
    return ops.sin(x)


def bent(x):
    return ops.where(x > 0, x, 0.1 * x)


@register("lib")
def my_loss(y, p):
    return ops.mean(ops.abs(y - p), -1)


@register("lib")
class Scale(layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), name="gain")

    def call(self, x):
        return x * self.gain * self.factor

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Plain(layers.Layer):
    """Neither registered nor with a config of its own."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), name="w")

    def call(self, x):
        return ops.matmul(x, self.w)


@register("lib")
class Residual(layers.Layer):
    """Wraps a layer; has objects of several kinds in its config."""

    def __init__(self, inner, activation=None, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.inner, self.activation = inner, keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, shape):
        if not self.inner.built:
            self.inner.build(shape)
        self.k = self.add_weight(shape=(shape[-1], shape[-1]), initializer=self.kernel_initializer, name="k")

    def call(self, x):
        return self.activation(x + self.inner(x)) + ops.matmul(x, self.k)

    def get_config(self):
        return {
            **super().get_config(),
            "inner": keras.saving.serialize_keras_object(self.inner),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


@register("lib")
class Cell(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def call(self, x, states):
        h = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent))
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register("lib")
class Start(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return ops.full(shape, 0.1, dtype=dtype or "float32")

    def get_config(self):
        return {}


@register("lib")
class Pull(keras.regularizers.Regularizer):
    def __init__(self, to=0.5):
        self.to = to

    def __call__(self, x):
        return 0.01 * ops.sum(ops.square(x - self.to))

    def get_config(self):
        return {"to": self.to}


@register("lib")
class Box(keras.constraints.Constraint):
    def __call__(self, w):
        return ops.clip(w, -1, 1)


@register("lib")
class Net(keras.Model):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.first, self.scale, self.last = layers.Dense(width, "relu"), Scale(2.0), layers.Dense(2)

    def call(self, x):
        return self.last(self.scale(self.first(x)))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@register("lib")
class Mine(keras.Model):
    """A functional model with a training step of its own."""

    def train_step(self, data):
        return super().train_step(data)


def layer_by_layer():
    x = keras.Input((4,), name="x")
    h = Plain(5, name="plain")(Scale(2.0, name="scale")(x))
    h = layers.Dense(6, activation=wave, kernel_initializer=Start(), name="d1")(h)
    h = layers.Dense(6, activation=bent, kernel_regularizer=Pull(0.1), bias_constraint=Box(), name="d2")(h)
    inner = layers.Dense(6, activation="tanh", name="inner")
    h = Residual(inner, activation=wave, kernel_initializer=Start(), name="residual")(h)
    h = Residual(Scale(name="deep"), activation="relu", name="twice")(h)
    return keras.Model(x, layers.Dense(2, activity_regularizer=Pull(0.2), name="last")(h), name="mine")


def wrapped():
    x = keras.Input((3, 4))
    h = layers.TimeDistributed(Scale(3.0))(x)
    h = layers.Bidirectional(layers.RNN(Cell(3), return_sequences=True, unroll=True))(h)
    h = layers.RNN(Cell(5), unroll=True)(h)
    return Mine(x, keras.Sequential([keras.Input((5,)), Neighbour(), layers.Dense(2)])(h))


def subclassed():
    model = Net(5)
    model(ops.zeros((1, 4)))
    return model
