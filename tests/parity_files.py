"""Model files for the parity and inspect tests, with random weights, written without Keras."""

from pathlib import Path

import h5py
import numpy as np
import onnx
from onnx import numpy_helper

MODELS = Path(__file__).with_name("parity_models.py")
DENSE = ("kernel", "bias")
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def dense(*shape):
    return dict(zip(DENSE, [shape, shape[-1:]], strict=True))


LAYERS = {
    "normalised": {"first": dense(6, 5), "norm": dict.fromkeys(NORM, (5,)), "last": dense(5, 3)},
    "dropped": {"first": dense(6, 5), "last": dense(5, 3)},
    "two_outputs": {"first": dense(6, 5), "last": dense(5, 3), "value": dense(5, 1)},
    "open_sizes": {"first": dense(3, 3, 2, 3), "low": dense(3, 3, 3, 2), "last": dense(1, 1, 4, 1)},
    "hashed": {"first": dense(6, 6)},
    "hued": {"first": dense(12, 2)},
}


def write_h5(path, layers, seed=0):
    """Weights alone in Keras's legacy HDF5 layout. layers: {layer: {weight: shape}}."""
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = list(layers)
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "3.15.0"
        for layer, weights in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0" for name in weights]
            for name, shape in weights.items():
                values = random.uniform(0.5, 1.5, shape) if "variance" in name else random.normal(0, 0.7, shape)
                group[f"{layer}/{name}:0"] = values.astype(np.float32)
    return path


def change(model, to, weight, function):
    """A copy of an .onnx file with one weight changed by `function`."""
    proto = onnx.load(model)
    tensor = next(t for t in proto.graph.initializer if t.name == weight)
    tensor.CopyFrom(numpy_helper.from_array(function(numpy_helper.to_array(tensor).copy()), weight))
    onnx.save(proto, to)
    return to


def spoil(index, value):
    """A function that puts one value in an array."""

    def function(array):
        array.flat[index] = value
        return array

    return function
