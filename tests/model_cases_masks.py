"""Models whose masks are used, joined and handed on."""

from model_case import model


@model(values="steps")
def mask_into_batch_normalization():
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((4, 3)), layers.Masking(), layers.BatchNormalization(name="norm")])


@model(values="steps")
def mask_into_pooling_over_time():
    """The mean over the steps that a mask keeps; a row without any has none, so one step is never masked."""
    import keras
    from keras import layers, ops

    x = keras.Input((None, 4))
    kept = layers.Masking()(ops.pad(x, ((0, 0), (0, 1), (0, 0)), constant_values=1.0))
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Dense(3, activation="tanh")(kept))))


def _mask_into(kind, masked=(True, False)):
    import keras
    from keras import layers

    xs = [keras.Input((3, 4), name=f"x{i}") for i in range(len(masked))]
    given = [layers.Masking()(x) if wanted else x for x, wanted in zip(xs, masked, strict=True)]
    given = [layers.Dense(4, name=f"dense{i}")(x) for i, x in enumerate(given)]
    return keras.Model(xs, layers.BatchNormalization()(getattr(layers, kind)(name="merge")(given)))


@model(values="steps")
def mask_into_multiply():
    return _mask_into("Multiply")


@model(values="steps")
def masks_into_multiply():
    return _mask_into("Multiply", (True, True, True))


@model(values="steps")
def mask_into_maximum():
    return _mask_into("Maximum", (False, True))


@model(values="steps")
def masks_into_maximum():
    return _mask_into("Maximum", (True, True, False))


@model(values="steps")
def masks_into_minimum():
    return _mask_into("Minimum", (True, True))


@model(values="steps")
def masks_into_add():
    return _mask_into("Add", (True, True))


@model(values="steps")
def masks_into_concatenate():
    return _mask_into("Concatenate", (True, False))


@model()
def embeddings_mask_into_a_product_with_another():
    """Both masks, of any length; the product's is theirs together."""
    import keras
    from keras import layers

    a, b = (keras.Input((None,), dtype="int32", name=n) for n in "ab")
    embedding = layers.Embedding(10, 3, mask_zero=True)
    y = layers.Multiply()([embedding(a), embedding(b)])
    y = layers.Concatenate(axis=-1)([y, layers.Dense(2)(embedding(a))])
    return keras.Model([a, b], layers.LSTM(3)(layers.Dropout(0.0)(y)))


@model(values="steps")
def masks_dropped_and_kept_by_reshaping():
    """Permute, Reshape, Flatten: what is behind them has no mask, or the one that Keras leaves."""
    import keras
    from keras import layers

    x = keras.Input((4, 3))
    y = layers.Masking()(x)
    ends = [layers.GlobalAveragePooling1D()(layers.Permute((2, 1))(y)), layers.Flatten()(y)]
    ends += [layers.BatchNormalization()(layers.Reshape((2, 6))(y)), layers.ZeroPadding1D(1)(y)]
    return keras.Model(x, [layers.Dense(2, name=f"end{i}")(end) for i, end in enumerate(ends)])


@model(values="steps")
def masks_through_spectral_normalization():
    """Kept or dropped as the wrapped layer does it."""
    import keras
    from keras import layers

    x = keras.Input((4, 3))
    y = layers.Masking()(x)
    kinds = [layers.Dense(3, activation="tanh", activity_regularizer="l2"), layers.Conv1D(3, 2, padding="same")]
    ends = [layers.SpectralNormalization(kind)(y) for kind in kinds]
    return keras.Model(x, [layers.BatchNormalization(name=f"end{i}")(end) for i, end in enumerate(ends)])


@model(values="pixels")
def mask_of_a_normalized_embedding():
    import keras
    from keras import layers

    x = keras.Input((5,))
    words = layers.SpectralNormalization(layers.Embedding(4, 3, mask_zero=True), name="words")
    return keras.Model(x, layers.LSTM(2)(words(layers.Rescaling(1 / 64)(x))))


@model(values="steps")
def masked_places_into_a_convolutional_lstm():
    """A mask of places, by the pixels whose channels are all zero; the sequence's goes on to the next layer."""
    import keras
    from keras import layers

    x = keras.Input((3, 4, 5, 2))
    y = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True)(layers.Masking()(x))
    return keras.Model(x, layers.ConvLSTM2D(3, (1, 2), padding="same", go_backwards=True)(y))


@model(refused=r"lstm \(ConvLSTM1D\): its mask is \(batch, steps, 5\), its states are \(batch, 3, 2\), which Keras")
def masked_places_that_the_states_do_not_have():
    import keras
    from keras import layers

    lstm = layers.ConvLSTM1D(2, 3, name="lstm")
    return keras.Sequential([keras.Input((3, 5, 2)), layers.Masking(), lstm])
