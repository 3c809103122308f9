"""Whole models on images and sequences."""

from model_case import model


@model()
def small_cnn():
    import keras
    from keras import layers

    x = image = keras.Input((8, 9, 3), name="image")
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.0)(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


@model()
def residual_network_of_any_size():
    import keras
    from keras import layers

    def block(x, filters, strides):
        shortcut = layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", activation="relu6")(x)
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1)(x))
        return layers.Activation("relu")(layers.Add()([x, shortcut]))

    image = keras.Input((None, None, 3))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(layers.Conv2D(4, 3, activation="relu")(image))
    x = block(block(x, 6, 1), 8, 2)
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


@model()
def zeros_before_a_max_pooling():
    """ONNX Runtime 1.31 merges a Pad into the MaxPool behind it, which pads with -inf: all inputs are negative here."""
    import keras
    from keras import layers

    image = keras.Input((4, 5, 2))
    x = layers.Activation("softplus")(image)
    x = layers.Rescaling(-1.0)(x)
    x = layers.MaxPooling2D(2, strides=2)(layers.ZeroPadding2D(1)(x))
    return keras.Model(image, x)


@model()
def causal_stack():
    import keras
    from keras import layers

    x = steps = keras.Input((None, 2))
    skips = []
    for dilation in (1, 2, 4):
        filtered = layers.Conv1D(4, 2, padding="causal", dilation_rate=dilation, activation="tanh")(x)
        gate = layers.Conv1D(4, 2, padding="causal", dilation_rate=dilation, activation="sigmoid")(x)
        x = layers.Conv1D(4, 1)(layers.Multiply()([filtered, gate]))
        skips.append(x)
    return keras.Model(steps, layers.Conv1D(3, 1, activation="softmax")(layers.Add()(skips)))
