"""Whole models on images and sequences."""

from model_case import model

RESIZED = (2e-7, "what TensorFlow resizes is float32, in a float64 model too")


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


@model(double=RESIZED)
def augmentation_that_does_nothing():
    """Ranges of nothing, and calls that say that they are no training."""
    import keras
    import numpy as np
    from keras import layers

    class Steady(keras.Model):
        def __init__(self):
            super().__init__(name="steady")
            light, size = layers.RandomBrightness(0.0, name="light"), layers.Resizing(6, 6, name="size")
            self.pipe = layers.Pipeline([light, size], name="pipe")
            self.flip, self.hue = layers.RandomFlip(name="flip"), layers.RandomHue(0.2, name="hue")
            self.inner = keras.Sequential([layers.Rescaling(1 / 255), layers.CenterCrop(4, 5)], name="inner")
            self.conv, self.up = layers.Conv2D(2, 3), layers.UpSampling2D(interpolation="bicubic")
            self.pool = layers.AdaptiveAveragePooling2D(2)

        def call(self, image):
            x = self.hue(self.flip(self.pipe(image), training=False), training=False)
            return self.pool(self.up(self.conv(self.inner(x))))

    made = Steady()
    made(np.zeros((2, 8, 6, 3), np.uint8))
    return made


@model(random=True, double=RESIZED)
def images_changed_in_training():
    import keras
    from keras import layers

    changes = [
        layers.RandomFlip(),
        layers.RandomTranslation(0.2, 0.2),
        layers.RandomRotation(0.2),
        layers.RandomZoom(0.2),
    ]
    changes += [
        layers.RandomCrop(4, 4),
        layers.Resizing(6, 6),
        layers.RandomBrightness(0.2),
        layers.RandomContrast(0.2),
    ]
    pipe = layers.Pipeline([*changes, layers.RandomHue(0.3, name="hue")], name="pipe")
    return keras.Sequential([keras.Input((8, 6, 3)), pipe, layers.GlobalAveragePooling2D(), layers.Dense(2)])
