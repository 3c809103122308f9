"""The layers of Keras that can't be converted: why, and what to do instead. What is not here has a body and a rule.

A reason ends the sentence "layer (Kind): ...".
"""

from __future__ import annotations

NOT_YET = "no conversion for this kind of layer yet"
TEXT = "text can't be converted; split the preprocessing off and convert what comes after it"
_FOREIGN = (
    "it runs code of another framework, which can't be told apart into layers; rebuild that part with Keras's own"
)
_LABELS = (
    "it mixes the rows of a batch with their labels; do that where the data are read, and leave it out of the model"
)
_CELL = "a cell is one step of a recurrent layer, not a layer by itself; wrap it in RNN"

REASONS: dict[str, str] = {
    **dict.fromkeys(("TextVectorization", "StringLookup", "Hashing", "HashedCrossing", "FeatureSpace"), TEXT),
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"), _FOREIGN),
    **dict.fromkeys(("CutMix", "MixUp"), _LABELS),
    "MaxNumBoundingBoxes": "it takes boxes and labels, which no layer computes with; do that where the data are read",
}
# Not here yet: an entry goes when the layer comes.
REASONS |= dict.fromkeys(
    (
        *(f"Adaptive{kind}Pooling{rank}D" for kind in ("Average", "Max") for rank in (1, 2, 3)),
        *("AugMix", "AutoContrast", "CenterCrop", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"),
        *("RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast"),
        *("RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur"),
        *("RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization"),
        *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom"),
        *("Resizing", "Solarization"),
        *("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"),
        "TimeDistributed",
    ),
    NOT_YET,
)
REASONS |= dict.fromkeys(("GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"), _CELL)

# Traced as what they compute: Lambda only with --unsafe. InputLayer is an input; the others hold layers.
SEEN_THROUGH = ("InputLayer", "Lambda", "Pipeline")
BASES = ("Layer", "Wrapper")  # no layers by themselves
