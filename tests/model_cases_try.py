from model_case import model
from model_cases_code import _layer

@model()
def try_axes():
    import tensorflow as tf
    from keras import ops
    def call(self, x):
        a = tf.reduce_sum(x, axis=tf.range(1, tf.rank(x)), keepdims=True)
        b = tf.cumsum(x, axis=tf.rank(x) - 1)
        c = tf.squeeze(tf.expand_dims(x, tf.rank(x)), -1)
        d = ops.cumprod(x, axis=-1) + ops.logsumexp(x, axis=-1, keepdims=True) + ops.mean(x, axis=tuple(range(1, len(x.shape))), keepdims=True)
        return (a + b + c + d) * self.w
    return _layer("axes", call, {"w": (4,)}, (3, 4))

@model()
def try_axes_in_a_loop():
    import tensorflow as tf
    from keras import ops
    def call(self, x):
        def step(i, x):
            a = tf.reduce_sum(x, axis=tf.range(1, tf.rank(x)), keepdims=True)
            b = tf.cumsum(x, axis=tf.rank(x) - 1)
            c = tf.squeeze(tf.expand_dims(x, tf.rank(x)), -1)
            d = ops.cumprod(x, axis=-1) + ops.logsumexp(x, axis=-1, keepdims=True)
            e = ops.take(x, i, axis=1)[:, None] + x[:, i : i + 1] + ops.roll(x, 1, axis=1)
            return i + 1, (a + b + c + d + e) * self.w * 0.1
        return ops.while_loop(lambda i, y: i < 3, step, (0, x))[1]
    return _layer("axes", call, {"w": (4,)}, (3, 4))

@model()
def try_rnn():
    import keras
    from keras import layers, ops
    x = keras.Input((5, 4))
    y = layers.LSTM(3, activation=lambda x: ops.sin(x) * 0.9, return_sequences=True, name="wave")(x)
    y = layers.GRU(3, recurrent_activation=lambda x: ops.sigmoid(1.5 * x), go_backwards=True, name="gru")(y)
    return keras.Model(x, y)

@model()
def try_condition_on_step():
    import tensorflow as tf
    from keras import ops
    @tf.function
    def go(x, w):
        for i in tf.range(3):
            if i > 0:
                x = x * w
            else:
                x = x - w
        return x
    def call(self, x):
        return go(x, tf.convert_to_tensor(self.w))
    return _layer("s", call, {"w": (6,)})

@model()
def try_break():
    import tensorflow as tf
    @tf.function
    def go(x, w):
        for i in tf.range(5):
            x = x * w
            if tf.reduce_sum(tf.abs(x)) < 1.0:
                break
        return x
    def call(self, x):
        return go(x, tf.convert_to_tensor(self.w))
    return _layer("s", call, {"w": (6,)})

@model()
def try_over_rows():
    import tensorflow as tf
    @tf.function
    def go(x, w):
        total = tf.zeros_like(x[:, 0])
        for now in tf.transpose(x, (1, 0, 2)):
            total = tf.tanh(total * w + now)
        return total
    def call(self, x):
        return go(x, tf.convert_to_tensor(self.w)) + tf.scan(lambda a, b: a + b, tf.transpose(x, (1, 0, 2)))[-1]
    return _layer("s", call, {"w": (4,)}, (3, 4))
