"""The table of layer cases: those of all families."""

from importlib import import_module

FAMILIES = (
    *("activations", "applications", "attention", "convolution", "core", "einsum"),
    *("embedding", "image", "lookup", "merging", "normalization"),
    *("recurrent", "reshaping", "spatial", "spectral", "spectrogram", "time"),
)
CASES = [case for family in FAMILIES for case in import_module(f"layer_cases_{family}").CASES]

# Built and refused: layer class, options, the shape of its input.
REFUSED = [
    ("Hashing", {"num_bins": 3}, (4,)),
]
