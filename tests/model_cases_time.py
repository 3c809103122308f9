"""Models with TimeDistributed, and the masks that pass through it."""

from model_case import model
from model_cases_recurrent import NO_LENGTHS


@model()
def time_distributed_dense():
    """The wrapped layer's own activity regularizer is one that Keras never asks."""
    import keras
    from keras import layers

    dense = layers.Dense(3, activation="relu", activity_regularizer="l2", name="dense")
    return keras.Sequential([keras.Input((4, 5)), layers.TimeDistributed(dense, name="each")])


@model()
def time_distributed_network_of_any_length():
    import keras
    from keras import layers

    frame = keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(4, activity_regularizer="l2", name="head"),
        ],
        name="frame",
    )
    x = keras.Input((None, 6, 5, 2))
    y = layers.TimeDistributed(frame, name="frames")(x)
    return keras.Model(x, layers.GlobalAveragePooling1D()(y))


@model()
def time_distributed_batch_normalization():
    """Each step has statistics of its own, one after the other."""
    import keras
    from keras import layers

    x = keras.Input((3, 4))
    y = layers.TimeDistributed(layers.BatchNormalization(name="norm"))(x)
    return keras.Model(x, layers.Dense(2)(y))


@model()
def time_distributed_within_itself():
    import keras
    from keras import layers

    inner = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activity_regularizer="l1", name="dense"),
            layers.BatchNormalization(axis=-1),
        ]
    )
    x = keras.Input((2, 3, 4))
    y = layers.TimeDistributed(layers.TimeDistributed(inner), activity_regularizer="l2", name="outer")(x)
    return keras.Model(x, y)


@model()
def time_distributed_embedding():
    import keras
    from keras import layers

    x = keras.Input((None, 3), dtype="int32")
    y = layers.TimeDistributed(layers.Embedding(10, 4))(x)
    return keras.Model(x, layers.TimeDistributed(layers.Flatten())(y))


@model(random=True)
def time_distributed_dropout():
    import keras
    from keras import layers

    x = keras.Input((3, 4))
    return keras.Model(x, layers.TimeDistributed(layers.Dropout(0.5))(x))


@model(refused=r"each/drop \(Dropout\): its noise_shape shares a draw among the rows of each step")
def time_distributed_shared_dropout():
    import keras
    from keras import layers

    drop = layers.Dropout(0.5, noise_shape=(1, 4), name="drop")
    return keras.Sequential([keras.Input((3, 4)), layers.TimeDistributed(drop, name="each")])


@model(values="steps")
def time_distributed_with_a_mask():
    """The mask goes to the wrapped layer step by step, and on behind."""
    import keras
    from keras import layers

    x = keras.Input((4, 3))
    y = layers.TimeDistributed(layers.BatchNormalization(name="norm"))(layers.Masking()(x))
    y = layers.TimeDistributed(layers.Dense(3))(y)
    return keras.Model(x, layers.BatchNormalization()(y))


@model(values="steps")
def masked_images_into_a_convolutional_lstm():
    """Frames, some of which a mask leaves out, are read; what was read begins another sequence."""
    import keras
    from keras import layers

    x = keras.Input((None, 10))
    y = layers.TimeDistributed(layers.Reshape((5, 2)))(layers.Masking()(x))
    y, *state = layers.ConvLSTM1D(3, 2, padding="same", return_state=True, return_sequences=True)(y)
    y = layers.ConvLSTM1D(3, 2, padding="same")(y, initial_state=state)
    return keras.Model(x, layers.Flatten()(y))


@model()
def rows_merged_by_the_models_own_code():
    """The first axis of what is between is not the batch, which a runtime that plans its memory must not be told."""
    import keras
    from keras import layers, ops

    x = keras.Input((4, 3))
    y = layers.Dense(3, activation="tanh")(ops.reshape(x, (-1, 3)))
    y = ops.reshape(layers.Dense(3, activation="relu")(layers.LayerNormalization()(y)), (-1, 4, 3))
    z = layers.Dense(3, activation="tanh")(x[:, 0])
    z = layers.Dense(3, activation="relu")(layers.LayerNormalization()(z))
    return keras.Model(x, layers.Add()([layers.GlobalMaxPooling1D()(y), layers.Multiply()([z, z])]))


@model(values="tokens", no_reference=NO_LENGTHS)
def sentences_of_words():
    """A document's sentences are read by one network, whose own masks leave words out."""
    import keras
    from keras import layers

    words = [keras.Input((None,), dtype="int32"), layers.Embedding(10, 3, mask_zero=True)]
    sentence = keras.Sequential([*words, layers.Bidirectional(layers.GRU(2))], name="sentence")
    x = keras.Input((None, 4), dtype="int32")
    y = layers.TimeDistributed(sentence, name="sentences")(x)
    return keras.Model(x, layers.Dense(2)(layers.LSTM(3)(y)))


@model()
def time_distributed_frozen_base():
    """Its BatchNormalization keeps its statistics; another's call is frozen by the model's own code."""
    import keras
    from keras import layers

    class Frames(keras.Model):
        def __init__(self):
            super().__init__(name="frames")
            base = [keras.Input((5, 2)), layers.Conv1D(3, 2), layers.BatchNormalization(), layers.Flatten()]
            self.base = keras.Sequential(base, name="base")
            self.base.trainable = False
            self.each = layers.TimeDistributed(self.base, name="each")
            self.still = layers.TimeDistributed(layers.BatchNormalization(), name="still")
            self.head = layers.TimeDistributed(layers.Dense(2), name="head")

        def call(self, x):
            return self.head(self.still(self.each(x), training=False))

    made = Frames()
    made(keras.ops.zeros((2, 3, 5, 2)))
    return made


@model(refused=r"each/soft \(Softmax\): it works along the batch, whose rows are those of all steps")
def time_distributed_along_the_batch():
    import keras
    from keras import layers

    soft = layers.Softmax(axis=0, name="soft")
    return keras.Sequential([keras.Input((3, 4)), layers.TimeDistributed(soft, name="each")])
