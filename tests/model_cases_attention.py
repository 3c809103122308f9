"""Whole models with embeddings and attention."""

from model_case import model


def _block(x, heads, width, name, **call):
    from keras import layers

    attended = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention")(x, x, **call)
    x = layers.LayerNormalization(name=f"{name}_norm")(layers.Add()([x, attended]))
    inner = layers.Dense(2 * width, activation="gelu", name=f"{name}_wide")(x)
    inner = layers.Dense(width, name=f"{name}_narrow")(inner)
    return layers.LayerNormalization(name=f"{name}_norm_1")(layers.Add()([x, inner]))


def _embedded(tokens, width, **options):
    from keras import layers

    class Positions(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(shape[1], shape[2]), name="table")

        def call(self, x):
            return x + self.table

    x = layers.Embedding(10, width, name="tokens", **options)(tokens)
    return Positions(name="positions")(x)


@model()
def text_transformer():
    import keras
    from keras import layers

    tokens = keras.Input((5,), dtype="int32", name="text")
    x = _embedded(tokens, 6)
    for name in ("first", "second"):
        x = _block(x, 2, 6, name)
    x = layers.Flatten()(x)
    return keras.Model(tokens, layers.Dense(3, activation="softmax", name="head")(x))


@model()
def text_transformer_with_padding():
    """Zeros in the text mask queries, keys and values; attention takes the mask from its inputs and hands it on."""
    import keras
    from keras import layers

    tokens = keras.Input((5,), dtype="int32", name="text")
    x = layers.Embedding(10, 6, mask_zero=True, name="tokens")(tokens)
    for name in ("first", "second"):
        x = layers.MultiHeadAttention(2, 3, name=f"{name}_attention")(x, x)
        x = layers.LayerNormalization(name=f"{name}_norm")(x)
    x = layers.GroupQueryAttention(3, 2, 1, name="grouped")(x, x)
    return keras.Model(tokens, layers.Dense(3, name="head")(x))


@model()
def decoder_that_looks_back_and_across():
    import keras
    from keras import layers

    source = keras.Input((4, 6), name="source")
    target = keras.Input((3, 6), name="target")
    x = _block(target, 2, 6, "own", use_causal_mask=True)
    x, scores = layers.MultiHeadAttention(2, 3, name="cross")(x, source, return_attention_scores=True)
    return keras.Model([source, target], {"y": layers.Dense(2, name="head")(x), "scores": scores})


@model()
def one_attention_layer_called_twice():
    import keras
    from keras import layers

    x = keras.Input((4, 6), name="x")
    shared = layers.MultiHeadAttention(2, 3, name="shared")
    y, _ = shared(shared(x, x, use_causal_mask=True), x, return_attention_scores=True)
    return keras.Model(x, y)


@model(refused="count_weights")
def counted_categories_with_weights():
    import keras
    from keras import layers

    x = keras.Input((4,), dtype="int32", name="x")
    weights = keras.Input((4,), name="weights")
    y = layers.CategoryEncoding(10, output_mode="count", name="counts")(x, count_weights=weights)
    return keras.Model([x, weights], layers.Dense(2, name="head")(y))


@model()
def attention_without_heads_over_padding():
    import keras
    from keras import layers

    tokens = keras.Input((5,), dtype="int32", name="text")
    x = layers.Embedding(10, 6, mask_zero=True, name="tokens")(tokens)
    y = layers.Attention(use_scale=True, name="products")([x, x])
    y = layers.AdditiveAttention(name="sums")([y, x])
    return keras.Model(tokens, layers.Dense(3, name="head")(y))


@model()
def attention_over_several_axes_of_masked_steps():
    """Masking marks (batch, rows, columns); each row attends to itself, by Keras's own mask for inputs of rank 4."""
    import keras
    from keras import layers, ops

    x = keras.Input((2, 3, 4), name="x")
    masked = layers.Masking(name="masking")(ops.round(x) * ops.ones((2, 3, 1)))
    y = layers.MultiHeadAttention(2, 3, attention_axes=-2, flash_attention=True, name="rows")(masked, masked)
    return keras.Model(x, layers.MultiHeadAttention(2, 3, name="both")(x + y, y * 0.5))


@model()
def attention_with_a_constant_mask():
    import keras
    import numpy as np
    from keras import layers

    tokens = keras.Input((4,), dtype="int32", name="text")
    x = layers.Embedding(10, 6, mask_zero=True, name="tokens")(tokens)
    return keras.Model(tokens, layers.MultiHeadAttention(2, 3, name="layer")(x, x, attention_mask=np.tri(4) > 0))


@model(refused=r"layer \(MultiHeadAttention\): it has an attention_mask of rank 4 and masks of its inputs")
def a_mask_for_heads_of_masked_inputs():
    import keras
    from keras import layers

    tokens, mask = keras.Input((4,), dtype="int32", name="text"), keras.Input((2, 4, 4), name="mask")
    x = layers.Embedding(10, 6, mask_zero=True, name="tokens")(tokens)
    return keras.Model([tokens, mask], layers.MultiHeadAttention(2, 3, name="layer")(x, x, attention_mask=mask))


@model(refused=r"layer \(MultiHeadAttention\): it is causal or has a window over other axes")
def causal_attention_over_the_second_axis():
    import keras
    from keras import layers

    x = keras.Input((3, 3, 4), name="x")
    attention = layers.MultiHeadAttention(2, 3, attention_axes=(2,), name="layer")
    return keras.Model(x, attention(x, x, use_causal_mask=True))
