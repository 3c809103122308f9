"""Models with TimeDistributed, and the masks that pass through it."""

from model_case import model


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
