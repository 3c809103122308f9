"""Whole models for the tests: functions that the Keras process calls; nothing here imports Keras before that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

GRADIENTS = 5e-6  # rounding adds up over the layers that a gradient passes


@dataclass(frozen=True)
class ModelCase:
    """refused: what the message must match if bridge can't convert it. See layer_cases.Case for the rest."""

    name: str
    make: Callable[[], Any]
    values: str = "normal"
    random: bool = False
    looser: tuple[float, str] | None = None
    refused: str | None = None

    @property
    def tolerance(self) -> float:
        return self.looser[0] if self.looser else 1e-6

    @property
    def gradient_tolerance(self) -> float:
        return max(self.tolerance, GRADIENTS)

    def __str__(self) -> str:
        return f"model-{self.name}"


MODELS: dict[str, ModelCase] = {}


def model(**options: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        MODELS[make.__name__] = ModelCase(make.__name__, make, **options)
        return make

    return register


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


@model()
def zero_biases():
    import keras
    from keras import layers

    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="relu"), layers.Dense(3, activation="softmax")],
        name="zero_biases",
    )


@model()
def no_biases():
    import keras
    from keras import layers

    return keras.Sequential(
        [keras.Input((4,)), *[layers.Dense(4, activation="relu", use_bias=False) for _ in range(3)]]
    )


@model()
def awkward_names():
    import keras
    from keras import layers

    names = ["forward", "train", "class", "type", "a.b", "a b", "schön", "logits", "penalty", "2nd", "training", "self"]
    names += ["weight", "state_dict", "torch", "x", "a_b", "None", "_private", "F", "{0}", "quote'\"", "back\\slash"]
    return keras.Sequential(
        [keras.Input((3,)), *[layers.Dense(3, activation="tanh", name=name) for name in names]], name="class"
    )


@model()
def awkward_names_of_inputs_and_outputs():
    import keras
    from keras import layers

    a, b = keras.Input((3,), name="self"), keras.Input((3,), name="torch")
    c, d = keras.Input((3,), name="a.b"), keras.Input((3,), name="a b")
    total = layers.Add(name="values")([a, b, c, d])
    return keras.Model(
        [a, b, c, d], {"class": layers.Dense(2, name="outputs")(total), "a/b": total, "0": layers.Dense(2)(a)}
    )


@model()
def frozen_layers():
    import keras
    from keras import layers

    stack = [
        keras.Input((4,)),
        layers.Dense(4),
        layers.BatchNormalization(),
        layers.Dense(3),
        layers.BatchNormalization(),
    ]
    made = keras.Sequential(stack)
    made.layers[0].trainable = False
    made.layers[1].trainable = False
    return made


@model()
def frozen_base():
    import keras
    from keras import layers

    base = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()], name="base")
    base.trainable = False
    return keras.Sequential([keras.Input((4,)), base, layers.Dense(2)])


@model()
def an_input_that_is_an_output():
    import keras
    from keras import layers

    x = keras.Input((4,), name="x")
    return keras.Model(x, {"given": x, "made": layers.Dense(2, name="dense")(x)})


@model()
def only_an_input():
    import keras

    x = keras.Input((4,), name="x")
    return keras.Model(x, x)


@model()
def one_value_given_out_twice():
    import keras
    from keras import layers

    x = keras.Input((4,))
    y = layers.Dense(2, name="dense")(x)
    return keras.Model(x, {"once": y, "twice": y})


@model()
def an_output_that_feeds_a_layer():
    import keras
    from keras import layers

    x = keras.Input((4,))
    hidden = layers.Dense(4, activation="relu", name="hidden")(x)
    return keras.Model(x, [hidden, layers.Dense(2, activation="softmax", name="score")(hidden)])


@model()
def an_output_before_its_activation():
    import keras
    from keras import layers

    x = keras.Input((4,))
    logits = layers.Dense(3, name="logits")(x)
    return keras.Model(x, [logits, layers.Softmax(name="probabilities")(logits)])


@model()
def softmax_layer_at_the_end():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax()])


@model()
def activation_layer_at_the_end():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4,)), layers.Dense(1), layers.Activation("sigmoid")])


@model()
def layers_as_activations():
    import keras
    from keras import layers

    stack = [layers.Dense(4, activation=layers.LeakyReLU(0.2)), layers.Dense(3, activation=layers.PReLU())]
    return keras.Sequential([keras.Input((4,)), *stack])


@model()
def functions_as_activations():
    import keras
    from keras import layers, ops

    def bump(x):
        return ops.exp(-x * x)

    stack = [
        layers.Dense(4, activation=bump),
        layers.Dense(4, activation=keras.activations.gelu),
        layers.Activation(ops.tanh),
    ]
    return keras.Sequential([keras.Input((4,)), *stack])


@model()
def an_unused_layer():
    import keras
    import numpy as np
    from keras import layers

    class Spare(keras.Model):
        def __init__(self):
            super().__init__(name="spare")
            self.used, self.unused = (
                layers.Dense(2, name="used"),
                layers.Dense(3, name="unused", kernel_regularizer="l2"),
            )
            self.unused.build((None, 5))

        def call(self, x):
            return self.used(x)

    made = Spare()
    made(np.zeros((2, 4), np.float32))
    return made


@model()
def bytes_in():
    import keras
    from keras import layers

    x = keras.Input((4, 4, 1), dtype="uint8")
    return keras.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Rescaling(1 / 255)(x))))


@model()
def integers_and_floats_in():
    import keras
    from keras import layers, ops

    a, b = keras.Input((3,), dtype="int32", name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], layers.Dense(2)(ops.cast(a, "float32") * b))


@model()
def bytes_into_a_dense_layer():
    import keras
    from keras import layers

    x = keras.Input((6,), dtype="uint8")
    return keras.Model(x, layers.Dense(3)(x))


@model(looser=(2e-5, "a hundred matrix products, each rounded in its own order of sums"))
def a_hundred_layers():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4,)), *[layers.Dense(4, activation="tanh") for _ in range(100)]])


@model(values="large")
def large_values():
    import keras
    from keras import layers

    stack = [
        layers.BatchNormalization(),
        layers.Dense(4, activation="relu"),
        layers.LayerNormalization(),
        layers.Dense(3),
    ]
    return keras.Sequential([keras.Input((6,)), *stack])


@model()
def every_training_rule_at_once():
    import keras
    from keras import layers

    stack = [
        layers.Dense(5, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="max_norm"),
        layers.BatchNormalization(momentum=0.8, beta_regularizer="l2"),
        layers.PReLU(alpha_regularizer="l1", alpha_constraint="non_neg"),
        layers.ActivityRegularization(l1=0.01, l2=0.02),
        layers.Dense(3, activation="softmax", activity_regularizer="l2"),
    ]
    return keras.Sequential([keras.Input((4,)), *stack])


@model()
def masking_before_layers_that_pass_it_on():
    import keras
    from keras import layers

    stack = [
        layers.Masking(),
        layers.Dense(4, activation="relu"),
        layers.LayerNormalization(),
        layers.Flatten(),
        layers.Dense(2),
    ]
    return keras.Sequential([keras.Input((3, 4)), *stack])


@model()
def a_mask_at_the_output():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((3, 4)), layers.Masking(), layers.Dense(2, name="dense")], name="masked")


@model()
def masks_that_are_added():
    import keras
    from keras import layers

    x = keras.Input((3, 4))
    masked = layers.Masking()(x)
    return keras.Model(x, layers.Flatten()(layers.Add()([masked, layers.Average()([masked, x])])))


@model(refused=r"norm \(BatchNormalization\): .*mask")
def mask_into_batch_normalization():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((3, 4)), layers.Masking(), layers.BatchNormalization(name="norm")])


@model(refused=r"soft \(Softmax\): .*mask")
def mask_into_softmax():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((3, 3)), layers.Masking(), layers.Softmax(axis=1, name="soft")])


def _mask_into(kind):
    import keras
    from keras import layers

    x = keras.Input((3, 4))
    return keras.Model(x, getattr(layers, kind)(name="merge")([layers.Dense(4)(x), layers.Masking()(x)]))


@model()
def an_output_called_as_the_input():
    import keras
    from keras import layers

    x = keras.Input((4,), name="image")
    return keras.Model(x, {"image": layers.Dense(4, name="decoded")(x)})


@model()
def a_layer_that_holds_tensors():
    import keras
    from keras import layers, ops

    class Holds(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.small = ops.sqrt(ops.convert_to_tensor([1.0, 2.0, 3.0, 4.0]))
            self.large = ops.reshape(ops.arange(800, dtype="float32") / 800, (4, 200))
            self.one = ops.convert_to_tensor(0.5)

        def call(self, x):
            return ops.matmul(x * self.small, self.large) * self.one

    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2)(Holds(name="holds")(x)))


@model(refused=r"leaky \(LeakyReLU\): its input is int32")
def integers_into_an_activation():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4,), dtype="int32"), layers.LeakyReLU(name="leaky")])


@model(refused=r"scale \(Scale\): its activity regularizer Mine")
def an_activity_regularizer_of_the_users_own():
    import keras
    from keras import layers

    class Mine(keras.regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x)

    class Scale(layers.Layer):
        def call(self, x):
            return x * 2.0

    x = keras.Input((4,))
    return keras.Model(x, Scale(name="scale", activity_regularizer=Mine())(x))


@model(refused=r"merge \(Multiply\): .*mask")
def mask_into_multiply():
    return _mask_into("Multiply")


@model(refused=r"merge \(Maximum\): .*mask")
def mask_into_maximum():
    return _mask_into("Maximum")


@model(refused=r"merge \(Minimum\): .*mask")
def mask_into_minimum():
    return _mask_into("Minimum")


@model(refused=r"mixed_float16")
def mixed_precision():
    import keras
    from keras import layers

    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="half", dtype="mixed_float16"), layers.Dense(2, dtype="float32")]
    )


@model(refused=r"encoder/conv \(Conv1D\): .*; pool \(GlobalMaxPooling1D\): .*; renorm \(BatchNormalization\)")
def several_refusals():
    import keras
    from keras import layers

    encoder = keras.Sequential([keras.Input((4, 2)), layers.Conv1D(3, 2, name="conv")], name="encoder")
    stack = [
        encoder,
        layers.GlobalMaxPooling1D(name="pool"),
        layers.Dense(3),
        layers.BatchNormalization(renorm=True, name="renorm"),
    ]
    return keras.Sequential([keras.Input((4, 2)), *stack])


@model(refused=r"attention \(MultiHeadAttention\)")
def attention():
    import keras
    from keras import layers

    x = keras.Input((3, 4))
    return keras.Model(x, layers.MultiHeadAttention(2, 2, name="attention")(x, x))


@model(refused=r"text \(TextVectorization\)")
def text():
    import keras
    from keras import layers

    x = keras.Input((1,), dtype="string")
    vocabulary = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3, name="text")
    return keras.Model(x, layers.Dense(2)(layers.Rescaling(1.0)(vocabulary(x))))


@model(refused=r"kernel: its regularizer 'Mine'|dense/kernel: its regularizer")
def a_regularizer_of_the_users_own():
    import keras
    from keras import layers

    class Mine(keras.regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x)

        def get_config(self):
            return {}

    return keras.Sequential([keras.Input((4,)), layers.Dense(3, kernel_regularizer=Mine(), name="dense")])


@model(refused=r"random \(Dropout\): .*training=True")
def dropout_that_is_always_on():
    import keras
    import numpy as np
    from keras import layers

    class Noisy(keras.Model):
        def __init__(self):
            super().__init__(name="noisy")
            self.drop = layers.Dropout(0.5, name="random")

        def call(self, x):
            return self.drop(x, training=True)

    made = Noisy()
    made(np.zeros((2, 4), np.float32))
    return made
