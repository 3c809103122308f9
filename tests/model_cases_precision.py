"""Models of mixed precision: float32 variables, and arithmetic that is half as precise."""

from model_case import model


@model()
def mixed_float16():
    """By each layer's own policy, and a float32 layer at the end, as Keras's guide has it."""
    import keras
    from keras import layers

    half = {"dtype": "mixed_float16"}
    x = keras.Input((8, 8, 3))
    y = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.1, 1.2, 1.3], **half)(x)
    y = layers.Conv2D(4, 3, activation="relu", **half)(y)
    y = layers.BatchNormalization(**half)(y)
    y = layers.LayerNormalization(**half)(y * 2.0 + 0.1)
    y = layers.Dense(4, activation="gelu", **half)(layers.GlobalAveragePooling2D(**half)(y))
    return keras.Model(x, layers.Dense(3, activation="softmax", dtype="float32")(y))


@model()
def mixed_bfloat16():
    """By the global policy."""
    import keras
    from keras import layers

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inner = keras.Sequential([keras.Input((5, 6)), layers.Normalization(), layers.Dense(4, name="inner")])
        x = keras.Input((5, 6))
        y = layers.MultiHeadAttention(2, 3)(inner(x), inner(x))
        return keras.Model(x, layers.Dense(2)(layers.Flatten()(layers.Add()([y, inner(x)]))))
    finally:
        keras.config.set_dtype_policy(before)
