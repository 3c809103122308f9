"""Models with what Keras 1 and 2 had and Keras 3 has not, as bridge's own layers."""

from model_case import model


@model(
    no_reference="onnx's reference evaluator knows no activations of an LSTM here",
    values="knots",
)
def hard_sigmoid_of_keras2():
    import keras
    from keras import layers

    from bridge.keras_side.old.layers import hard_sigmoid_of_keras2 as hard

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

    from bridge.keras_side.old.layers import LocallyConnected1D, LocallyConnected2D, TFOpLambda, ThresholdedReLU

    image = keras.Input((5, 6, 2), name="image")
    first = LocallyConnected2D(3, (2, 3), strides=(1, 2), kernel_regularizer="l2", name="last")(image)
    second = LocallyConnected2D(2, (2, 2), data_format="channels_first", activation="tanh", name="first")(image)
    steps = layers.Reshape((8, 3))(first)
    third = LocallyConnected1D(2, 3, strides=2, use_bias=False, name="steps")(steps)
    fourth = LocallyConnected1D(2, 2, data_format="channels_first", name="steps_first")(steps)
    joined = layers.Concatenate()([layers.Flatten()(x) for x in (second, third, fourth)])
    scaled = TFOpLambda("math.multiply", [{"tensor": 0}, {"y": 0.5}], name="tf.math.multiply")([joined])
    return keras.Model(image, layers.Dense(3, name="out")(ThresholdedReLU(0.1, name="threshold")(scaled)))


@model()
def layers_that_left_keras_1():
    import keras
    from keras import layers

    from bridge.keras_side.old import layers as old

    image, row = keras.Input((5, 6, 2), name="image"), keras.Input((4,), name="row")
    x = old.Conv2D(3, (2, 3), pads="full", strides=(2, 1), activation="tanh", kernel_regularizer="l2", name="full")(
        image
    )
    x = old.Conv2D(2, (2, 1), data_format="channels_first", dilation_rate=2, name="half")(x)
    x = old.LocallyConnected2D(2, 2, strides=(1, 2), padding="same", implementation=3, name="sparse")(x)
    x = old.LocallyConnected2D(2, 2, implementation=2, kernel_regularizer="l2", name="dense")(x)
    x = old.Conv1D(2, 3, pads="full", name="steps")(layers.Reshape((-1, 2))(x))
    x = old.PaddedPooling(5, strides=2, name="largest")(old.DeviationNormalization(name="deviations")(x))
    x = old.PaddedPooling(2, 1, average=True, counted=True, data_format="channels_first", name="mean")(x)
    y = old.MaxoutDense(3, nb_feature=2, name="maxout")(row)
    y = old.RootNormalization(by_batch=True, name="root_of_batch")(old.RootNormalization(name="root")(y))
    y = old.ParametricSoftplus(name="softplus")(old.SReLU(name="srelu")(old.Highway("tanh", name="highway")(y)))
    joined = layers.Concatenate()([layers.Flatten()(x), y])
    return keras.Model([image, row], old.SampleNormalization(name="sample")(old.BatchStatistics(name="batch")(joined)))


@model(no_reference="onnx's reference evaluator knows no activations of an LSTM here")
def recurrent_layers_that_left_keras():
    import keras
    from keras import layers

    from bridge.keras_side.old import layers as old

    steps = keras.Input((4, 3), name="steps")
    frames = layers.Reshape((2, 2, 3, 1))(steps)
    frames = old.ConvLSTM2D(3, (2, 3), padding="same", strides=(1, 3), return_sequences=True, name="frames")(frames)
    frames = layers.Reshape((4, 3))(old.ConvLSTM2D(2, 2, name="valid")(layers.ZeroPadding3D((0, 1, 1))(frames)))
    x = layers.Bidirectional(old.LSTM(2, return_sequences=True), name="both")(layers.Add()([steps, frames]))
    x = old.TimeMajor(layers.GRU(3, return_sequences=True), name="turned")(keras.ops.transpose(x, (1, 0, 2)))
    return keras.Model(steps, old.LSTM(2, bias_regularizer="l2", name="cudnn")(keras.ops.transpose(x, (1, 0, 2))))


@model()
def convolutions_by_theano():
    import keras
    from keras import layers

    from bridge.keras_side.old import layers as old

    image, volume = keras.Input((5, 6, 2), name="image"), keras.Input((2, 3, 2, 1), name="volume")
    first = {"data_format": "channels_first"}
    x = old.DepthwiseConv2D((2, 3), strides=(2, 1), depth_multiplier=2, name="apart")(image)
    x = old.SeparableConv2D(3, (3, 2), pads="both", activation="tanh", name="one_more")(x)
    x = old.PaddedPooling((2, 2), 1, cropped=False, name="one_behind")(x)
    x = old.Conv2DTranspose(2, (3, 5), strides=(1, 2), padding="same", pads="half", name="spread", **first)(x)
    x = old.Conv2DTranspose(3, 4, strides=2, padding="same", output_size=[4, 15], name="told_its_size")(x)
    x = old.Conv2D(3, 3, pads="", padding="same", name="as_wide_as_deep", **first)(x)
    y = old.Conv3DTranspose(2, (3, 1, 3), strides=(2, 2, 3), padding="same", pads="half", name="volumes")(volume)
    y = old.Conv3D(2, 2, name="half")(y)
    y = old.SeparableConv1D(2, 2, strides=2, name="pairs")(layers.Reshape((-1, 2))(y))
    joined = layers.Concatenate()([layers.Flatten()(each) for each in (x, y)])
    return keras.Model([image, volume], layers.Dense(2, name="out")(joined))
