"""Models that bridge refuses, with what the message must match."""

from model_case import model


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


@model(refused=r"mixed_float16")
def mixed_precision():
    import keras
    from keras import layers

    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="half", dtype="mixed_float16"), layers.Dense(2, dtype="float32")]
    )


@model(refused=r"encoder/pool \(AdaptiveMaxPooling1D\): .*; means \(AdaptiveAverage.*; renorm \(BatchNormalization\)")
def several_refusals():
    import keras
    from keras import layers

    encoder = keras.Sequential([keras.Input((4, 2)), layers.AdaptiveMaxPooling1D(2, name="pool")], name="encoder")
    stack = [
        encoder,
        layers.AdaptiveAveragePooling1D(1, name="means"),
        layers.Dense(3),
        layers.BatchNormalization(renorm=True, name="renorm"),
    ]
    return keras.Sequential([keras.Input((4, 2)), *stack])


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


@model(refused=r"conv \(Conv2D\): its output is 3 wide and has 3 channels in front: Keras on TensorFlow adds the bias")
def a_bias_that_keras_adds_along_the_width():
    import keras
    from keras import layers

    conv = layers.Conv2D(3, 2, data_format="channels_first", name="conv")
    return keras.Sequential([keras.Input((2, 4, 4)), conv])


@model(refused=r"up \(UpSampling2D\): its option interpolation='bicubic' is not supported")
def bicubic_up_sampling():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((2, 4, 4)), layers.UpSampling2D(interpolation="bicubic", name="up")])


@model(refused=r"TensorFlow can't run it on this machine, .*: The Conv2D op currently only supports the NHWC")
def what_tensorflow_runs_on_gpus_alone():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((2, 2, 5)), layers.ConvLSTM1D(2, 2, data_format="channels_first")])
