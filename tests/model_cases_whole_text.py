"""Whole networks on tokens: with padding masks, cross attention, and tied weights."""

from model_case import model


@model()
def tagger_with_a_custom_embedding():
    """Token and position embeddings in one layer, whose own compute_mask says what is padding."""
    import keras
    from keras import layers, ops

    class TokensAndPositions(layers.Layer):
        def __init__(self, size, length, width, **options):
            super().__init__(**options)
            self.tokens = layers.Embedding(size, width, name="tokens")
            self.positions = layers.Embedding(length, width, name="positions")

        def build(self, shape):
            self.tokens.build(shape)
            self.positions.build(shape)

        def call(self, x):
            return self.tokens(x) + self.positions(ops.arange(ops.shape(x)[-1]))

        def compute_mask(self, x, mask=None):
            return ops.not_equal(x, 0)

    class Block(layers.Layer):
        """A residual block as a custom layer that hands masks on."""

        def __init__(self, heads, width, inner, **options):
            super().__init__(**options)
            self.supports_masking = True
            self.attention = layers.MultiHeadAttention(heads, width // heads, name="attention")
            self.mlp = keras.Sequential([layers.Dense(inner, activation="relu"), layers.Dense(width)], name="mlp")
            self.norms = [layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}") for i in range(2)]
            self.drop = layers.Dropout(0.0, name="drop")

        def build(self, shape):
            self.attention.build(shape, shape)
            self.mlp.build(shape)
            for norm in self.norms:
                norm.build(shape)

        def call(self, x, training=None):
            x = self.norms[0](x + self.drop(self.attention(x, x), training=training))
            return self.norms[1](x + self.drop(self.mlp(x), training=training))

    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = TokensAndPositions(10, 9, 6, name="embedded")(tokens)
    for i in range(2):
        x = Block(2, 6, 8, name=f"block_{i}")(x)
    return keras.Model(tokens, layers.Dense(4, activation="softmax", name="tags")(x))


@model()
def translator():
    """Encoder and decoder with cross attention, causal and padding masks, each a model of its own."""
    import keras
    from keras import layers, ops

    def embedded(tokens, name):
        x = layers.Embedding(10, 6, mask_zero=True, name=f"{name}_tokens")(tokens)
        return x * ops.sqrt(ops.cast(6, "float32"))

    def fed(x, name):
        y = layers.Dense(6, name=f"{name}_narrow")(layers.Dense(9, activation="relu", name=f"{name}_wide")(x))
        return layers.LayerNormalization(name=f"{name}_norm_2")(layers.Add()([x, y]))

    source, target = keras.Input((5,), dtype="int32", name="source"), keras.Input((4,), dtype="int32", name="target")
    x = embedded(source, "source")
    y = layers.MultiHeadAttention(2, 3, name="own")(x, x)
    memory = fed(layers.LayerNormalization(name="own_norm")(layers.Add()([x, y])), "own")
    x = embedded(target, "target")
    y = layers.MultiHeadAttention(2, 3, name="back")(x, x, use_causal_mask=True)
    x = layers.LayerNormalization(name="back_norm")(layers.Add()([x, y]))
    y = layers.MultiHeadAttention(3, 2, name="across")(query=x, value=memory, key=memory)
    x = fed(layers.LayerNormalization(name="across_norm")(layers.Add()([x, y])), "across")
    return keras.Model([source, target], layers.Dense(10, name="logits")(x))


@model()
def language_model_with_tied_weights():
    """The embedding's matrix gives the logits too; attention sees the past alone."""
    import keras
    import numpy as np
    from keras import layers, ops

    class Tied(keras.Model):
        def __init__(self):
            super().__init__(name="tied")
            self.tokens = layers.Embedding(11, 6, name="tokens")
            self.positions = layers.Embedding(8, 6, name="positions")
            self.attention = layers.MultiHeadAttention(2, 3, name="attention")
            self.norm = layers.LayerNormalization(name="norm")

        def call(self, tokens):
            x = self.tokens(tokens) + self.positions(ops.arange(ops.shape(tokens)[1]))
            x = self.norm(x + self.attention(x, x, use_causal_mask=True))
            return ops.matmul(x, ops.transpose(self.tokens.embeddings))

    made = Tied()
    made(np.zeros((2, 5), np.int32))
    return made


@model()
def reversible_logits_of_a_shared_layer():
    """Tied by a layer that holds the embedding, called in two ways."""
    import keras
    from keras import layers, ops

    class Vocabulary(layers.Layer):
        def __init__(self, size, width, **options):
            super().__init__(**options)
            self.size, self.width = size, width

        def build(self, shape):
            self.table = self.add_weight(shape=(self.size, self.width), name="table")
            self.bias = self.add_weight(shape=(self.size,), name="bias")

        def call(self, x, reverse=False):
            return ops.matmul(x, ops.transpose(self.table)) + self.bias if reverse else ops.take(self.table, x, axis=0)

    tokens = keras.Input((5,), dtype="int32", name="tokens")
    vocabulary = Vocabulary(10, 4, name="vocabulary")
    x = layers.Dense(4, activation="tanh", name="hidden")(vocabulary(tokens))
    return keras.Model(tokens, ops.softmax(vocabulary(x, reverse=True)))


@model()
def masked_language_model_with_segments():
    """BERT's inputs: tokens, segments and a padding mask that is data; the first token's state is pooled."""
    import keras
    from keras import layers, ops

    tokens, segments, padding = (keras.Input((5,), dtype="int32", name=n) for n in ("tokens", "segments", "padding"))
    x = layers.Embedding(10, 6, name="token_embedding")(tokens) + layers.Embedding(10, 6, name="segment_embedding")(
        segments
    )
    x = layers.LayerNormalization(epsilon=1e-12, name="norm")(x)
    mask = ops.expand_dims(ops.greater(padding, 0), 1)
    y = layers.MultiHeadAttention(2, 3, name="attention")(x, x, attention_mask=mask)
    x = layers.LayerNormalization(epsilon=1e-12, name="norm_1")(x + y)
    pooled = layers.Dense(6, activation="tanh", name="pooler")(x[:, 0, :])
    return keras.Model(
        {"tokens": tokens, "segments": segments, "padding": padding}, {"states": x, "pooled": pooled}, name="bert"
    )


@model()
def text_convolutions():
    """Kim's sentence classifier: convolutions of several widths, the largest of each over time."""
    import keras
    from keras import layers

    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.SpatialDropout1D(0.0)(layers.Embedding(10, 5, name="embedding")(tokens))
    found = [layers.GlobalMaxPooling1D()(layers.Conv1D(3, n, activation="relu", name=f"of_{n}")(x)) for n in (1, 2, 3)]
    return keras.Model(tokens, layers.Dense(1, activation="sigmoid")(layers.Concatenate()(found)))


@model()
def transformer_classifier():
    """Trained for a hundred steps in test_training_keras.py."""
    import keras
    from keras import layers

    tokens = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Embedding(10, 8, name="embedding")(tokens)
    y = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm")(layers.Add()([x, y]))
    y = layers.Dense(8, name="narrow")(layers.Dense(16, activation="gelu", name="wide")(x))
    x = layers.LayerNormalization(name="norm_1")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(tokens, layers.Dense(3, activation="softmax", name="classes")(x))
