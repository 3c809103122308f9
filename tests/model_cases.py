"""Whole models: how layers are put together. Those with unusual parts and those that are refused come along."""

import model_cases_attention  # noqa: F401 (they register theirs)
import model_cases_code  # noqa: F401
import model_cases_control  # noqa: F401
import model_cases_core  # noqa: F401
import model_cases_derivatives  # noqa: F401
import model_cases_loops  # noqa: F401
import model_cases_masks  # noqa: F401
import model_cases_matrices  # noqa: F401
import model_cases_old  # noqa: F401
import model_cases_precision  # noqa: F401
import model_cases_recurrent  # noqa: F401
import model_cases_refused  # noqa: F401
import model_cases_spatial  # noqa: F401
import model_cases_time  # noqa: F401
import model_cases_training  # noqa: F401
import model_cases_unusual  # noqa: F401
import model_cases_whole  # noqa: F401
import model_cases_whole_code  # noqa: F401
import model_cases_whole_text  # noqa: F401
from model_case import MODELS, model

__all__ = ["MODELS"]


@model()
def mlp():
    import keras
    from keras import layers

    sizes = ((6, "relu"), (5, "relu"), (3, "softmax"))
    return keras.Sequential([keras.Input((7,)), *[layers.Dense(n, activation=a) for n, a in sizes]])


@model()
def sequential_built_by_a_call():
    import keras
    import numpy as np
    from keras import layers

    made = keras.Sequential([layers.Dense(4, activation="sigmoid"), layers.Dense(1, activation="sigmoid")])
    made(np.zeros((2, 6), np.float32))
    return made


@model()
def several_inputs_and_outputs_in_lists():
    import keras
    from keras import layers

    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate(name="joined")([layers.Dense(4, name="left")(a), layers.Dense(5, name="right")(b)])
    return keras.Model([a, b], [layers.Dense(2, name="small")(joined), layers.Dense(3, name="large")(joined)])


@model()
def inputs_and_outputs_in_dicts():
    import keras
    from keras import layers

    inputs = {"second": keras.Input((4,), name="second"), "first": keras.Input((4,), name="first")}
    total = layers.Add()([inputs["first"], layers.Dense(4)(inputs["second"])])
    return keras.Model(inputs, {"score": layers.Dense(2, activation="softmax")(total), "hidden": total})


@model()
def a_layer_used_twice():
    import keras
    from keras import layers

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(4, activation="tanh", kernel_regularizer="l2", activity_regularizer="l2", name="shared")
    return keras.Model([a, b], layers.Concatenate()([shared(a), shared(b), shared(shared(a))]))


@model()
def nested_models_with_the_same_inner_names():
    import keras
    from keras import layers

    def inner(name, kind):
        if kind == "sequential":
            stack = [keras.Input((4,)), layers.Dense(4, activation="relu", name="dense"), layers.Dense(4, name="out")]
            return keras.Sequential(stack, name=name)
        x = keras.Input((4,))
        return keras.Model(
            x, layers.Dense(4, name="out")(layers.Dense(5, activation="tanh", name="dense")(x)), name=name
        )

    x = keras.Input((4,))
    left, right = inner("left", "sequential"), inner("right", "functional")
    return keras.Model(x, layers.Dense(2, name="dense")(layers.Add()([left(x), right(left(x))])))


@model()
def sequential_in_sequential_in_sequential():
    import keras
    from keras import layers

    deepest = keras.Sequential([layers.Dense(3, name="dense"), layers.BatchNormalization(name="norm")], name="deepest")
    middle = keras.Sequential([deepest, layers.Dense(4, name="dense")], name="middle")
    return keras.Sequential([keras.Input((5,)), middle, layers.Dense(2, name="dense")])


@model()
def nested_model_used_twice():
    import keras
    from keras import layers

    encoder = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, activation="relu"), layers.BatchNormalization()], name="encoder"
    )
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model([a, b], layers.Subtract()([encoder(a), encoder(b)]))


@model()
def subclassed():
    import keras
    import numpy as np
    from keras import layers, ops

    class Residual(keras.Model):
        def __init__(self):
            super().__init__(name="residual")
            self.first = layers.Dense(4, activation="relu", name="first")
            self.second = layers.Dense(4, name="second")
            self.norm = layers.BatchNormalization(name="norm")

        def call(self, x, training=None):
            y = self.second(self.first(x))
            y = self.norm(y, training=training)
            return ops.concatenate([x + y, ops.mean(x * y, axis=-1, keepdims=True)], axis=-1)

    made = Residual()
    made(np.zeros((2, 4), np.float32))
    return made


@model()
def subclassed_with_layers_in_lists_and_dicts():
    import keras
    import numpy as np
    from keras import layers

    class Listed(keras.Model):
        def __init__(self):
            super().__init__(name="listed")
            self.stack = [layers.Dense(4, activation="relu", name=f"step_{i}") for i in range(3)]
            self.heads = {"a": layers.Dense(2, name="a"), "b": layers.Dense(3, name="b")}

        def call(self, x):
            for layer in self.stack:
                x = layer(x)
            return {name: head(x) for name, head in self.heads.items()}

    made = Listed()
    made(np.zeros((2, 4), np.float32))
    return made


@model()
def subclassed_with_a_frozen_call():
    """Transfer learning's usual way: a part is called with training=False."""
    import keras
    import numpy as np
    from keras import layers

    class Frozen(keras.Model):
        def __init__(self):
            super().__init__(name="frozen")
            self.dense, self.norm = layers.Dense(4, name="dense"), layers.BatchNormalization(name="norm")
            self.drop = layers.Dropout(0.9, name="drop")

        def call(self, x):
            return self.drop(self.norm(self.dense(x), training=False), training=False)

    made = Frozen()
    made(np.zeros((2, 4), np.float32))
    return made


@model()
def base_model_called_in_inference_mode():
    import keras
    from keras import layers

    base = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="dense"), layers.BatchNormalization(name="norm")], name="base"
    )
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2, name="head")(base(x, training=False)))


@model()
def custom_layer():
    import keras
    from keras import layers, ops

    class Gate(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.inner = layers.Dense(4, activation="sigmoid", name="inner")
            self.norm = layers.BatchNormalization(name="norm")
            self.drop = layers.Dropout(0.0, name="drop")

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1],), name="w", initializer="ones")
            self.count = self.add_weight(shape=(), name="count", initializer="zeros", trainable=False)
            self.inner.build(shape)
            self.norm.build(shape)

        def call(self, x, training=None):
            return self.drop(self.norm(x * self.w + ops.exp(-ops.square(x)) * self.inner(x)), training=training)

    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2, name="head")(ops.maximum(Gate(name="gate")(x), 0.1)))


@model()
def custom_layer_with_a_penalty():
    import keras
    from keras import layers

    class Scale(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(
                shape=(shape[-1],), name="w", initializer="ones", regularizer="l2", constraint="non_neg"
            )

        def call(self, x):
            return x * self.w

    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2)(Scale(name="scale", activity_regularizer=keras.regularizers.L1(0.1))(x)))


@model()
def operators_between_layers():
    import keras
    from keras import layers, ops

    x = keras.Input((4,), name="x")
    y = layers.Dense(4, name="dense")(x)
    z = ops.concatenate([ops.tanh(x) + y, ops.sqrt(ops.abs(y) + 1.0)], axis=-1)
    return keras.Model(x, layers.Dense(2, name="head")(z * 2.0 - ops.sum(z, axis=-1, keepdims=True)))
