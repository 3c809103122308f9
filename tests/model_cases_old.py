"""Models with what Keras 1 and 2 had and Keras 3 has not, as bridge's own layers."""

from model_case import model


@model(
    no_reference="onnx's reference evaluator knows no activations of an LSTM here",
    values="knots",
)
def hard_sigmoid_of_keras2():
    import keras
    from keras import layers

    from bridge.keras_side.old_layers import hard_sigmoid_of_keras2 as hard

    steps = keras.Input((4, 3), name="steps")
    x = layers.LSTM(3, recurrent_activation=hard, return_sequences=True)(layers.Activation(hard)(steps))
    x = layers.GRU(3, recurrent_activation=hard, reset_after=False, return_sequences=True)(x)
    images = layers.Reshape((2, 2, 3, 1))(x)
    y = layers.ConvLSTM2D(2, 2, recurrent_activation=hard)(images)
    return keras.Model(steps, layers.Dense(3, activation=hard)(layers.Concatenate()([layers.Flatten()(y), x[:, -1]])))


@model()
def layers_that_left_keras():
    import keras
    from keras import layers

    from bridge.keras_side.old_layers import LocallyConnected1D, LocallyConnected2D, TFOpLambda, ThresholdedReLU

    image = keras.Input((5, 6, 2), name="image")
    first = LocallyConnected2D(3, (2, 3), strides=(1, 2), kernel_regularizer="l2", name="last")(image)
    second = LocallyConnected2D(2, (2, 2), data_format="channels_first", activation="tanh", name="first")(image)
    steps = layers.Reshape((8, 3))(first)
    third = LocallyConnected1D(2, 3, strides=2, use_bias=False, name="steps")(steps)
    fourth = LocallyConnected1D(2, 2, data_format="channels_first", name="steps_first")(steps)
    joined = layers.Concatenate()([layers.Flatten()(x) for x in (second, third, fourth)])
    scaled = TFOpLambda("math.multiply", [{"tensor": 0}, {"y": 0.5}], name="tf.math.multiply")([joined])
    return keras.Model(image, layers.Dense(3, name="out")(ThresholdedReLU(0.1, name="threshold")(scaled)))
