"""Whole models of code: subclassed ones, keras.ops between layers, structures of inputs and outputs."""

from model_case import model


@model()
def subclassed_research_model():
    """Blocks in a list, a gated MLP, a layer with weights of its own, code that depends on training."""
    import keras
    import numpy as np
    from keras import layers, ops

    class Gated(layers.Layer):
        def __init__(self, width, inner, **options):
            super().__init__(**options)
            self.gate = layers.Dense(inner, activation="silu", use_bias=False, name="gate")
            self.up = layers.Dense(inner, use_bias=False, name="up")
            self.down = layers.Dense(width, use_bias=False, name="down")

        def call(self, x):
            return self.down(self.gate(x) * self.up(x))

    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=shape[-1:], name="scale", initializer="ones", regularizer="l2")

        def call(self, x):
            return x * self.scale / ops.sqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-6)

    class Research(keras.Model):
        def __init__(self):
            super().__init__(name="research")
            self.blocks = [{"norm": Scale(name=f"norm_{i}"), "mlp": Gated(6, 8, name=f"mlp_{i}")} for i in range(3)]
            self.heads = {"mean": layers.Dense(2, name="mean"), "spread": layers.Dense(2, name="spread")}
            self.norm, self.drop = layers.BatchNormalization(name="norm"), layers.Dropout(0.0, name="drop")

        def call(self, x, training=False):
            for i, block in enumerate(self.blocks):
                y = self.drop(block["mlp"](block["norm"](x)), training=training)
                x = x + y if i else y
            x = self.norm(x, training=training)
            if training:
                x = self.drop(x)
            return {name: ops.softplus(head(x)) for name, head in self.heads.items()}

    made = Research()
    made(np.zeros((2, 3, 6), np.float32))
    return made


@model()
def models_in_models():
    """A Sequential in a functional in a subclassed model, the same model called twice, parts of it frozen."""
    import keras
    import numpy as np
    from keras import layers

    stem = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="relu"), layers.BatchNormalization()])
    x = keras.Input((6,))
    encoder = keras.Model(x, layers.Dense(3, name="out")(stem(x)), name="encoder")
    stem.layers[0].trainable = False
    stem.layers[1].trainable = False

    class Outer(keras.Model):
        def __init__(self):
            super().__init__(name="outer")
            self.encoder, self.head = encoder, layers.Dense(2, name="head")

        def call(self, left, right):
            return self.head(self.encoder(left) * self.encoder(right))

    made = Outer()
    made(np.zeros((2, 6), np.float32), right=np.zeros((2, 6), np.float32))
    return made


@model()
def subclassed_with_nested_inputs_and_outputs():
    import keras
    import numpy as np
    from keras import layers, ops

    class Nested(keras.Model):
        def __init__(self):
            super().__init__(name="nested")
            self.embedding, self.dense = layers.Embedding(10, 3, name="embedding"), layers.Dense(4, name="dense")

        def call(self, inputs):
            words = self.embedding(inputs["words"])
            left, right = inputs["pair"]
            joined = ops.concatenate([ops.mean(words, axis=1), left, right], axis=-1)
            return {"states": [self.dense(joined), words], "score": ops.sum(left * right, axis=-1)}

    made = Nested()
    pair = (np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float64))
    made({"words": np.zeros((2, 5), np.int32), "pair": pair})
    return made


@model()
def functional_with_nested_inputs_and_outputs():
    import keras
    from keras import layers

    a, b, c = keras.Input((3,), name="a"), keras.Input((3,), name="b"), keras.Input((2,), name="c")
    x = layers.Dense(4, name="shared")(layers.Concatenate()([a, b, c]))
    outputs = {"boxes": [layers.Dense(4, name="near")(x), layers.Dense(4, name="far")(x)], "label": x}
    return keras.Model({"pair": [a, b], "more": {"c": c}}, outputs)


@model()
def functional_with_a_tuple_of_lists():
    import keras
    from keras import layers

    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model((a, [b]), ([layers.Dense(2, name="first")(a)], (layers.Dense(2, name="second")(b), a)))


@model(double=(2e-8, "a division by three is a product with a float32 there"))
def operations_on_sequences():
    import keras
    from keras import layers, ops

    x = keras.Input((4, 6), name="x")
    y = layers.Dense(6, name="dense")(x)
    first, second = ops.split(y, 2, axis=-1)
    scores = ops.softmax(ops.einsum("btd,bsd->bts", first, second) / 3.0)
    mixed = ops.einsum("bts,bsd->btd", scores, x)
    heads = ops.transpose(ops.reshape(mixed, (-1, 4, 2, 3)), (0, 2, 1, 3))
    stacked = ops.stack([ops.cumsum(y, axis=1), ops.roll(y, 1, axis=1), ops.flip(y, axis=1)], axis=1)
    kept = ops.where(y > 0, y, 0.1 * y)
    padded = ops.pad(kept, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    return keras.Model(x, {"heads": heads, "stacked": stacked, "padded": padded, "logsumexp": ops.logsumexp(y, axis=1)})


@model(no_reference="onnx's evaluator takes no depth of rank 1 for OneHot, which the standard allows")
def operations_that_choose():
    import keras
    from keras import layers, ops

    x, index = keras.Input((5,), name="x"), keras.Input((), dtype="int32", name="index")
    y = layers.Dense(5, name="dense")(x)
    values, places = ops.top_k(y, 2)
    chosen = ops.take_along_axis(y, places, axis=1)
    hot = ops.one_hot(index, 10)
    best = ops.one_hot(ops.argmax(y, axis=-1), 5)
    table = ops.take(ops.arange(20, dtype="float32"), index)
    limited = ops.clip(ops.minimum(y, ops.max(x, axis=-1, keepdims=True)), -1.0, 1.0)
    return keras.Model([x, index], [values + chosen, hot, best * y, table, limited])


@model()
def operations_of_every_day():
    import keras
    from keras import layers, ops

    x = keras.Input((3, 4), name="x")
    y = layers.Dense(4, name="dense")(x)
    normal = ops.normalize(y, axis=-1) + ops.nn.silu(y)
    squeezed = ops.squeeze(ops.expand_dims(ops.mean(y, axis=1), 1), axis=1)
    spread = ops.std(y, axis=1) + ops.var(x, axis=(1, 2), keepdims=False)[:, None]
    tiled = ops.repeat(ops.tile(squeezed[:, None], (1, 2, 1)), 2, axis=-1)
    mask = ops.cast(ops.logical_and(y > 0, ops.not_equal(x, 0.0)), "float32")
    products = ops.matmul(y, ops.swapaxes(y, 1, 2)) + ops.tril(ops.ones((3, 3)))
    distances = ops.norm(y[:, :, None] - x[:, None], axis=-1)
    tens = ops.cast(10 * y[:, 0], "int32")  # of both signs: what is divided is rounded down, not toward zero
    parts = {"normal": normal, "spread": spread, "tiled": tiled, "masked": y * mask, "products": products}
    parts["buckets"] = 100 * ops.floor_divide(tens, 3) + ops.mod(tens, -4)
    parts |= {"hot": ops.one_hot(tens, 5), "hot_integers": ops.one_hot(tens, 5, axis=1, dtype="int32")}  # none below 0
    return keras.Model(x, parts | {"distances": distances, "largest": ops.amax(y, axis=(1, 2))})


@model()
def a_choice_beside_infinity():
    """What is not chosen does not count, not even where it is infinite or no number."""
    import keras
    from keras import layers, ops

    y = layers.Dense(4, name="dense")(x := keras.Input((4,), name="x"))
    inverse = ops.where(y > 0.0, 1.0 / ops.cast(y > 0.0, "float32"), y)
    return keras.Model(x, {"inverse": inverse, "quotient": ops.divide_no_nan(y, ops.relu(y + x))})


@model(
    no_reference="onnx's evaluator takes no depth of rank 1 for OneHot, which the standard allows",
)
def vector_quantized_autoencoder():
    """Straight through: the gradient passes by the codes' choice, and the layer adds a loss of its own."""
    import keras
    from keras import layers, ops

    class Quantizer(layers.Layer):
        def build(self, shape):
            self.codes = self.add_weight(shape=(shape[-1], 5), name="codes")

        def call(self, x):
            flat = ops.reshape(x, (-1, x.shape[-1]))
            distances = ops.sum(self.codes**2, axis=0) - 2 * ops.matmul(flat, self.codes)
            chosen = ops.one_hot(ops.argmin(distances, axis=1), 5)
            code = ops.reshape(ops.matmul(chosen, ops.transpose(self.codes)), ops.shape(x))
            self.add_loss(0.25 * ops.mean(ops.square(ops.stop_gradient(code) - x)))
            self.add_loss(ops.mean(ops.square(code - ops.stop_gradient(x))))
            return x + ops.stop_gradient(code - x)

    x = image = keras.Input((6, 6, 1), name="image")
    x = layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh")(x)
    x = Quantizer(name="codes", activity_regularizer="l2")(x)
    return keras.Model(image, layers.Conv2DTranspose(1, 3, strides=2, padding="same", name="decoded")(x))


@model(refused="sampling.*: its own code draws random numbers in inference too")
def a_sampling_that_never_stops():
    import keras
    from keras import layers

    class Sampling(layers.Layer):
        def call(self, x):
            return x + keras.random.normal((4,))

    x = keras.Input((4,))
    return keras.Model(x, Sampling(name="sampling")(x))
