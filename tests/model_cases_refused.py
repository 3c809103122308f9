"""Models that bridge refuses, with what the message must match."""

from model_case import model


@model(refused=r"leaky \(LeakyReLU\): its input is int32")
def integers_into_an_activation():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4,), dtype="int32"), layers.LeakyReLU(name="leaky")])


def _of_precision(policy):
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="half", dtype=policy), layers.Dense(2)])


@model(refused=r"half \(Dense\): dtype policy 'float16'")
def half_precision():
    return _of_precision("float16")


@model(refused=r"half \(Dense\): dtype policy 'bfloat16'")
def brain_precision():
    return _of_precision("bfloat16")


@model(refused=r"half \(Dense\): dtype policy 'float64'")
def double_precision():
    return _of_precision("float64")


@model(refused=r"encoder/hash \(Hashing\): .*; second \(Hashing\): .*; renorm \(BatchNormalization\)")
def several_refusals():
    import keras
    from keras import layers

    encoder = keras.Sequential([keras.Input((4,)), layers.Hashing(5, name="hash")], name="encoder")
    stack = [encoder, layers.Hashing(3, name="second"), layers.BatchNormalization(renorm=True, name="renorm")]
    return keras.Sequential([keras.Input((4,)), *stack])


@model(refused=r"total/seen: the model's code changes it in inference, so that each call depends on those before")
def sums_over_all_calls():
    """A variable is what its layer gives, as a guide of Keras's has it; a counter that no output needs does no harm."""
    import keras
    from keras import layers, ops

    class Total(layers.Layer):
        def build(self, shape):
            self.calls = self.add_weight(name="calls", shape=(), trainable=False)
            self.seen = self.add_weight(name="seen", shape=(shape[-1],), trainable=False)

        def call(self, x):
            self.calls.assign_add(1.0)
            self.seen.assign_add(ops.sum(x, axis=0))
            return self.seen

    return keras.Sequential([keras.Input((3,)), Total(name="total")])


@model(refused=r"change/last: the model's code changes it in inference, so that each call depends on those before")
def what_the_call_before_was_given():
    """Two calls with the same inputs leave the same behind. There are few words."""
    import keras
    from keras import layers, ops

    class Change(layers.Layer):
        def build(self, shape):
            self.last = self.add_weight(name="last", shape=(shape[-1],), trainable=False)

        def call(self, x):
            change = x - self.last
            self.last.assign(ops.mean(x, axis=(0, 1)))
            return change

    return keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(3, 4), Change(name="change")])


@model(refused=r"text \(TextVectorization\)")
def text():
    import keras
    from keras import layers

    x = keras.Input((1,), dtype="string")
    vocabulary = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3, name="text")
    return keras.Model(x, layers.Dense(2)(layers.Rescaling(1.0)(vocabulary(x))))


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


@model(refused=r"even \(Contrast\w+\): Keras can't divide an image 3 pixels long into 8 tiles")
def tiles_of_a_small_image():
    import keras
    from keras import layers

    even = layers.ContrastLimitedAdaptiveHistogramEqualization(name="even")
    return keras.Sequential([keras.Input((16, 3, 1)), even])


@model(refused=r"flip \(RandomFlip\): it is given a dict")
def images_with_their_labels():
    import keras
    from keras import layers

    x = {"images": keras.Input((4, 4, 3)), "labels": keras.Input((2,))}
    return keras.Model(x, layers.RandomFlip(name="flip")(x)["images"])


@model(refused=r"flip \(RandomFlip\): .*training=True")
def a_flip_that_is_always_on():
    import keras
    import numpy as np
    from keras import layers

    class Flipping(keras.Model):
        def __init__(self):
            super().__init__(name="flipping")
            self.flip = layers.RandomFlip(name="flip")

        def call(self, x):
            return self.flip(x, training=True)

    made = Flipping()
    made(np.zeros((2, 4, 4, 1), np.float32))
    return made


@model(refused=r"TensorFlow can't run it on this machine, .*: The Conv2D op currently only supports the NHWC")
def what_tensorflow_runs_on_gpus_alone():
    """As a convolution of channels_first does on some processors."""
    import keras
    import tensorflow as tf
    from keras import layers

    class ForGpus(layers.Layer):
        def call(self, x):
            if tf.executing_eagerly():
                said = "The Conv2D op currently only supports the NHWC tensor format on the CPU. [Op:Conv2D]"
                raise tf.errors.UnimplementedError(None, None, said)
            return x * 2.0

    return keras.Sequential([keras.Input((3,)), ForGpus()])


@model(refused=r"Keras 3\S+ itself can't run it: crop \(RandomCrop\) crops in training only")
def a_crop_that_the_layers_behind_it_need():
    import keras
    from keras import layers

    crop = layers.RandomCrop(3, 3, name="crop")
    return keras.Sequential([keras.Input((4, 4, 1)), crop, layers.Flatten(), layers.Dense(2)])


@model(refused=r"ctc \(Loss\): .* CTC loss, .*; save .*get_layer\('softmax'\).*; read \(Read\): .*CTCBeamSearch")
def a_ctc_loss_as_the_output():
    import keras
    from keras import layers, ops

    class Loss(layers.Layer):
        def call(self, y_pred, labels, given, written):
            return ops.nn.ctc_loss(labels, ops.log(y_pred), written, given)[:, None]

    class Read(layers.Layer):
        def call(self, x, lengths):
            return ops.ctc_decode(x, lengths, strategy="beam_search")[1]

    x, label = keras.Input((8, 4)), keras.Input((3,), dtype="int32", name="label")
    lengths = [keras.Input((), dtype="int32", name=name) for name in ("given", "written")]
    y = layers.Dense(12, activation="softmax", name="softmax")(x)
    given = [Loss(name="ctc")(y, label, *lengths), Read(name="read")(y, lengths[0])]
    return keras.Model([x, label, *lengths], given)
