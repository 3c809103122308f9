"""Models whose own code takes matrices apart, or computes with complex numbers."""

from model_case import model


@model(double=(1e-6, "TensorFlow's own singular values and their gradients, of float64 too, are seen 1e-10 apart"))
def matrices_taken_apart():
    """What does not depend on the signs of singular vectors: best rotations, functions of matrices, inverses."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    class Apart(layers.Layer):
        def call(self, x, y):
            q, r = ops.qr(x)
            turn = ops.matmul(ops.transpose(x, (0, 2, 1)), y)
            u, _, v = ops.svd(turn)
            right = ops.sign(ops.det(ops.matmul(u, v)))
            turn = ops.matmul(u * ops.stack([ops.ones_like(right), right], -1)[:, None], v)
            square = ops.matmul(x, ops.transpose(x, (0, 2, 1))) + ops.eye(3, dtype=x.dtype)
            values, vectors = ops.eigh(square * ops.arange(1, 4, dtype=x.dtype))
            power = ops.matmul(vectors * ops.exp(-values)[:, None], ops.transpose(vectors, (0, 2, 1)))
            full = tf.stop_gradient(ops.qr(y, mode="complete")[1])
            return [q, r, turn, power, tf.linalg.pinv(y), full]

    x, y = keras.Input((3, 2)), keras.Input((3, 2))
    return keras.Model([x, y], Apart(name="apart")(x, layers.Dense(2)(y)))


@model(double=(1e-6, "the waves of a Fourier transform are float32 constants"))
def a_fourier_neural_operator():
    """A few waves are mixed by complex weights and put back among zeros, in three ways."""
    import keras
    import tensorflow as tf
    from keras import layers

    class Waves(layers.Layer):
        def build(self, shape):
            self.real, self.imaginary = (self.add_weight(shape=(3, 3, 2), name=name) for name in ("real", "imaginary"))

        def call(self, x):
            every = tf.signal.rfft(tf.transpose(x, [0, 2, 1]))
            mixed = tf.einsum("bim,iom->bom", every[..., :2], tf.complex(self.real, self.imaginary))
            rows = tf.shape(every)[0]
            padded = tf.pad(mixed, [[0, 0], [0, 0], [0, tf.shape(every)[-1] - 2]])
            joined = tf.concat([mixed, tf.zeros((rows, 3, 3), mixed.dtype)], -1)
            place = tf.stack(tf.meshgrid(tf.range(rows), tf.range(3), tf.range(2), indexing="ij"), -1)
            written = tf.tensor_scatter_nd_update(tf.zeros_like(every), place, mixed)
            chosen = tf.where(tf.range(5) < 2, every, tf.zeros_like(every))
            return [tf.transpose(tf.signal.irfft(y), [0, 2, 1]) for y in (padded, joined + chosen, written)]

    x = keras.Input((8, 3))
    return keras.Model(x, Waves(name="waves")(layers.Dense(3)(x)))


@model()
def the_smallest_number_by_minus_one():
    """Which stops a processor that divides."""
    import keras
    from keras import layers, ops

    class Divided(layers.Layer):
        def call(self, x):
            x = x * 2 - 13  # odd, so that nothing is divided by 0
            smallest, minus = x * 0 - 2**31, x * 0 - 1
            return [ops.cast(y, "float32") for y in (smallest // minus, smallest % minus, x // (x - 2), x % (x - 2))]

    x = keras.Input((4,), dtype="int32")
    return keras.Model(x, Divided(name="divided")(x))
