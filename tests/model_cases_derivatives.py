"""Models whose own code takes derivatives in its call, or says what gradients are of weights."""

from model_case import SLOPE, model


@model()
def gradients_of_weights():
    """By `custom_gradient` with `variables`, also those of a layer; and what is only computed once more."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    class Own(layers.Layer):
        def build(self, shape):
            self.w, self.b = (self.add_weight(shape=(shape[-1],), name=name) for name in "wb")
            self.frozen = self.add_weight(shape=(shape[-1],), name="frozen", trainable=False)
            self.inner = layers.Dense(shape[-1], name="inner")
            self.inner.build(shape)

        def call(self, x):
            @tf.custom_gradient
            def scaled(x):
                def gradient(upstream, variables=None):
                    return (upstream * x, [2 * tf.reduce_sum(upstream * x, 0)]) if variables else upstream

                return x * self.w * self.frozen, gradient

            @tf.custom_gradient
            def named(x):
                def gradient(upstream, **others):
                    return upstream, [3 * tf.reduce_sum(upstream * x, 0) for _ in others["variables"]]

                return x * self.w + self.b, gradient

            @tf.custom_gradient
            def doubled(x):
                def gradient(upstream, variables):
                    with tf.GradientTape() as tape:
                        tape.watch(x)
                        y = 2.0 * self.inner(x)
                    first, *others = tape.gradient(y, [x, *variables], upstream)
                    return first, others

                return self.inner(x), gradient

            @tf.custom_gradient
            def counted(x):
                y = self.b[None] * tf.cast(x, self.b.dtype)
                return y, lambda upstream, variables=None: (None, [tf.reduce_sum(upstream, 0)])

            y = scaled(named(x)) + doubled(ops.tanh(x)) + counted(tf.cast(x * 3, "int32"))
            return y + tf.recompute_grad(lambda x: ops.silu(x) * self.w)(x)

    x = keras.Input((4,))
    with keras.RematScope(mode="full"):
        return keras.Model(x, layers.Dense(2)(Own(name="own")(x)))


@model()
def an_equation_in_derivatives():
    """Burgers's, as networks that are informed of physics have it: with second derivatives, by parts of the input."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    class Burgers(layers.Layer):
        def build(self, shape):
            self.first, self.last = layers.Dense(8, activation="tanh"), layers.Dense(1)
            self.first.build((None, 2))
            self.last.build((None, 8))

        def call(self, given):
            t, x = given[:, 0:1], given[:, 1:]
            with tf.GradientTape() as twice:
                twice.watch(x)
                with tf.GradientTape(persistent=True) as once:
                    once.watch([t, x])
                    u = self.last(self.first(ops.concatenate([t, x], -1)))
                by_x, by_t = once.gradient(u, x), once.gradient(u, t)
            return by_t + u * by_x - 0.01 * twice.gradient(by_x, x)

    return keras.Sequential([keras.Input((2,)), Burgers(name="burgers")])


@model(double=SLOPE)
def forces_between_atoms():
    """The derivative of an energy, through distances and every usual activation."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    smooth = ("tanh", "sigmoid", "softplus", "silu", "gelu", "elu", "selu", "relu", "relu6", "leaky_relu")

    class Forces(layers.Layer):
        def build(self, shape):
            self.by_distance = keras.Sequential([layers.Dense(3, activation=name) for name in smooth])
            self.by_distance.build((None, None, None, 1))

        def call(self, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                apart = x[:, :, None] - x[:, None]
                near = 1 / ops.sqrt(ops.sum(apart**2, -1, keepdims=True) + 1.0)
                energy = ops.sum(self.by_distance(near), (1, 2, 3)) + ops.mean(x[..., -1, :1] ** 2, -1)
            return energy[:, None], -tape.gradient(energy, x)

    x = keras.Input((3, 3))
    return keras.Model(x, Forces(name="forces")(layers.Dense(3)(x)))


@model()
def the_gradient_of_a_convolution():
    import keras
    import tensorflow as tf
    from keras import layers

    class Saliency(layers.Layer):
        def build(self, shape):
            self.conv = layers.Conv2D(2, 3, activation="tanh", padding="same", name="conv")
            self.conv.build(shape)

        def call(self, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(self.conv(x) ** 2)
            return tape.gradient(y, x)

    return keras.Sequential([keras.Input((4, 4, 1)), Saliency(name="saliency")])


@model(
    refused=r"own/drop \(Dropout\): the model's own code asks for its gradient, .*; gradient: .* asks for the gradient"
)
def a_derivative_of_what_says_its_gradient_itself():
    import keras
    import tensorflow as tf
    from keras import layers

    @tf.custom_gradient
    def doubled(x):
        return x * 1.0, lambda upstream: upstream * 2.0

    class Own(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.drop = layers.Dropout(0.5, name="drop")

        def call(self, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = doubled(x) * x
            with tf.GradientTape() as other:
                other.watch(x)
                z = self.drop(x)
            return tape.gradient(y, x) + other.gradient(z, x)

    return keras.Sequential([keras.Input((3,)), Own(name="own")])
