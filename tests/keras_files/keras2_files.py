"""Weights as Keras 2 wrote them, made by hand: no Keras 2 is installed."""

import hashlib

import numpy as np


def legacy_weights(group, layers):
    """Weights as Keras 2 lays them out: {layer: {"kernel:0": array}}."""
    group.attrs["layer_names"] = [name.encode() for name in layers]
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.15.0"
    for name, weights in layers.items():
        below = group.create_group(name)
        below.attrs["weight_names"] = [f"{name}/{key}".encode() for key in weights]
        for key, values in weights.items():
            below[f"{name}/{key}"] = values


def sha(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
