"""Whole models with unusual names, types, outputs, activations and masks."""

from model_case import SLOPE, model


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


@model(double=SLOPE)
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


@model()
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


@model()
def an_output_called_as_the_input():
    import keras
    from keras import layers

    x = keras.Input((4,), name="image")
    return keras.Model(x, {"image": layers.Dense(4, name="decoded")(x)})


@model(no_double="its own code holds a float32 tensor")
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


@model()
def regularizers_of_the_users_own():
    import keras
    from keras import layers

    class Near(keras.regularizers.Regularizer):
        """Its L1 must count, which a trace puts aside for Keras's own penalties."""

        def __init__(self, to):
            self.to = to

        def __call__(self, x):
            return 0.125 * keras.ops.sum(keras.ops.square(x - self.to)) + keras.regularizers.L1(0.0625)(x)

        def get_config(self):
            return {"to": self.to}

    class Scale(layers.Layer):
        def call(self, x):
            return x * 2.0

    x = keras.Input((4,))
    y = Scale(activity_regularizer=Near(0.25))(x)
    y = layers.Dense(3, kernel_regularizer=Near(1.0), trainable=False)(y)
    y = layers.Conv1D(2, 1, kernel_regularizer=Near(0.375))(layers.Reshape((3, 1))(y))
    return keras.Model(x, layers.Flatten(activity_regularizer=Near(0.5))(y))
