"""Whole recurrent models."""

from model_case import model

NO_LENGTHS = "onnx's reference evaluator pays no attention to an LSTM's lengths"


@model(values="steps", no_reference=NO_LENGTHS)
def lstm_after_a_masking():
    import keras
    from keras import layers

    steps = keras.Input((None, 3))
    x = layers.LSTM(4, return_sequences=True)(layers.Masking()(steps))
    return keras.Model(steps, layers.Dense(2, activation="softmax")(layers.GRU(3)(x)))


@model(values="tokens", no_reference=NO_LENGTHS)
def bidirectional_tagger():
    import keras
    from keras import layers

    words = keras.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(10, 4, mask_zero=True)(words)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode="sum")(x)
    return keras.Model(words, layers.Dense(5, activation="softmax", name="tags")(x))


@model(values="tokens", no_reference=NO_LENGTHS)
def sequence_to_sequence_with_states():
    import keras
    from keras import layers

    source, target = (
        keras.Input((None,), dtype="int32", name="source"),
        keras.Input((None,), dtype="int32", name="target"),
    )
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(layers.Embedding(10, 4, mask_zero=True)(source))
    x = layers.Embedding(10, 4, name="target_embedding")(target)
    x, *_ = layers.LSTM(3, return_sequences=True, return_state=True, name="decoder")(x, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(10, activation="softmax")(x))


@model(values="tokens")
def gru_sequence_to_sequence_with_attention():
    import keras
    from keras import layers

    source, target = keras.Input((4,), dtype="int32", name="source"), keras.Input((3,), dtype="int32", name="target")
    embedding = layers.Embedding(10, 4)
    encoded, state = layers.GRU(3, return_sequences=True, return_state=True)(embedding(source))
    x = layers.GRU(3, return_sequences=True)(embedding(target), initial_state=state)
    x = layers.Concatenate()([x, layers.Attention()([x, encoded])])
    return keras.Model([source, target], layers.Dense(10, activation="softmax")(x))


@model(values="tokens", no_reference=NO_LENGTHS)
def recurrent_classifier():
    import keras
    from keras import layers

    words = keras.Input((6,), dtype="int32", name="words")
    x = layers.Embedding(10, 4, mask_zero=True)(words)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.GRU(5, return_sequences=True)(x)
    x = layers.SimpleRNN(4, kernel_regularizer="l2", recurrent_constraint="unit_norm")(x)
    return keras.Model(words, layers.Dense(3, activation="softmax")(x))


@model(double=(2e-8, "torch's hardsigmoid multiplies float64 gradients by a sixth in float32"))
def lstm_of_other_activations():
    import keras
    from keras import layers

    steps = keras.Input((6, 3), name="steps")
    x = layers.LSTM(4, activation="gelu", recurrent_activation="hard_sigmoid", return_sequences=True)(steps)
    return keras.Model(steps, layers.Dense(3, activation="softmax")(layers.GRU(4, reset_after=False)(x)))


@model()
def bidirectional_states_into_a_decoder():
    import keras
    from keras import layers

    steps = keras.Input((4, 3))
    both = layers.Bidirectional(layers.LSTM(2, return_state=True, return_sequences=True))
    x, forward_h, forward_c, backward_h, backward_c = both(steps)
    states = [layers.Concatenate()([forward_h, backward_h]), layers.Concatenate()([forward_c, backward_c])]
    return keras.Model(steps, layers.LSTM(4)(x, initial_state=states))


@model()
def states_of_a_stack_at_the_output():
    import keras
    from keras import layers

    steps = keras.Input((4, 3))
    cells = [layers.LSTMCell(2), layers.GRUCell(3)]
    y, lstm, gru = layers.RNN(cells, return_state=True, name="stack")(steps)
    return keras.Model(steps, {"y": y, "h": lstm[0], "c": lstm[1], "state": gru})


@model()
def bidirectional_layer_with_penalized_outputs():
    import keras
    from keras import layers

    steps = keras.Input((4, 3))
    both = layers.Bidirectional(layers.GRU(2, activity_regularizer="l2", return_sequences=True))
    return keras.Model(steps, layers.GlobalMaxPooling1D()(both(steps)))


@model()
def one_recurrent_layer_used_twice():
    import keras
    from keras import layers

    left, right = keras.Input((4, 3), name="left"), keras.Input((2, 3), name="right")
    shared = layers.LSTM(3, name="shared")
    return keras.Model([left, right], layers.Dot(axes=1)([shared(left), shared(right)]))


@model()
def cells_called_in_a_loop_of_the_users_own():
    import keras
    import numpy as np
    from keras import layers, ops

    class Decoder(keras.Model):
        def __init__(self):
            super().__init__(name="decoder")
            self.cell = layers.GRUCell(3, name="cell")
            self.lstm = layers.LSTMCell(3, name="lstm")
            self.head = layers.Dense(2, name="head")

        def call(self, x):
            state, h, c = (
                ops.zeros((ops.shape(x)[0], 3)),
                ops.zeros((ops.shape(x)[0], 3)),
                ops.ones((ops.shape(x)[0], 3)),
            )
            outputs = []
            for _ in range(3):
                x, [state] = self.cell(x, [state])
                x, [h, c] = self.lstm(x, [h, c])
                outputs.append(self.head(x))
            return ops.stack(outputs, axis=1)

    made = Decoder()
    made(np.zeros((2, 3), np.float32))
    return made


@model()
def a_cell_of_the_users_own_unrolled():
    import keras
    from keras import layers, ops

    class Minimal(layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = self.state_size = units

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
            self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

        def call(self, x, states):
            y = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent))
            return y, [y]

    steps = keras.Input((4, 3))
    return keras.Model(steps, layers.RNN(Minimal(2, name="minimal"), unroll=True, name="rnn")(steps))


@model()
def convolutions_before_recurrence():
    import keras
    from keras import layers

    steps = keras.Input((None, 3))
    x = layers.Conv1D(4, 3, padding="same", activation="relu")(steps)
    x = layers.Bidirectional(layers.LSTM(3))(layers.MaxPooling1D(2)(x))
    return keras.Model(steps, layers.Dense(1, activation="sigmoid")(x))


@model()
def dropout_in_a_frozen_call():
    """training=False in the model's own code: nothing drops, in training either."""
    import keras
    import numpy as np
    from keras import layers

    class Frozen(keras.Model):
        def __init__(self):
            super().__init__(name="frozen")
            self.rnn = layers.LSTM(3, dropout=0.5, recurrent_dropout=0.5, name="rnn")

        def call(self, x):
            return self.rnn(x, training=False)

    made = Frozen()
    made(np.zeros((2, 4, 3), np.float32))
    return made


@model(refused=r"rnn \(LSTM\): stateful=True: .* use return_state and initial_state")
def a_state_kept_between_batches():
    import keras
    from keras import layers

    steps = keras.Input(batch_shape=(2, 4, 3))
    return keras.Model(steps, layers.LSTM(3, stateful=True, name="rnn")(steps))


@model(refused=r"rnn \(GRU\): the model's code calls it with training=True")
def recurrent_dropout_that_is_always_on():
    import keras
    import numpy as np
    from keras import layers

    class Noisy(keras.Model):
        def __init__(self):
            super().__init__(name="noisy")
            self.rnn = layers.GRU(3, dropout=0.5, name="rnn")

        def call(self, x):
            return self.rnn(x, training=True)

    made = Noisy()
    made(np.zeros((2, 4, 3), np.float32))
    return made
