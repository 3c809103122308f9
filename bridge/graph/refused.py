"""The layers of Keras that can't be converted: why, and what to do instead. What is not here has a body and a rule.

A reason ends the sentence "layer (Kind): ...".
"""

from __future__ import annotations

NOT_YET = "no conversion for this kind of layer yet"
QUANTIZED = "quantized to {}; only float32 so far: take the model as it was before quantize()"
TEXT = "text can't be converted; split the preprocessing off and convert what comes after it"
_FOREIGN = (
    "it runs code of another framework, which can't be told apart into layers; rebuild that part with Keras's own"
)

REASONS: dict[str, str] = {
    **dict.fromkeys(("TextVectorization", "StringLookup", "Hashing", "HashedCrossing", "FeatureSpace"), TEXT),
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"), _FOREIGN),
}

# Traced as what they compute, operator by operator, where no recurrent layer speaks for its cell; Lambda only with
# --unsafe. InputLayer is an input.
SEEN_THROUGH = ("InputLayer", "Lambda", "Pipeline", "GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells")
FEATURES = dict.fromkeys(
    ("TFDConcat", "TFDIdentity"), "keras.src.layers.preprocessing.feature_space"
)  # by FeatureSpace
BASES = ("Layer", "Wrapper")  # no layers by themselves
