"""Images of unknown size are resized as Keras does whether or not ONNX's Resize rounds places alike."""

import numpy as np
import onnx
import onnxruntime
import pytest

from bridge.graph.body import OPSET, function_of
from bridge.graph.layer import Layer

# old and new lengths that ONNX rounds as Keras does, or not for one axis or both; at 5000 pixels bridge does not look
SIZES = {
    "nearest": [((28, 9), (7, 5)), ((26, 9), (7, 5)), ((28, 14), (7, 23)), ((5000, 14), (7, 23)), ((26, 14), (7, 23))],
    "bilinear": [((8, 9), (16, 3)), ((60, 9), (55, 3)), ((60, 71), (55, 67)), ((5000, 9), (16, 3))],
}


@pytest.mark.parametrize(("method", "channels"), [("nearest", 1), ("nearest", 2), ("bilinear", 1), ("bilinear", 17)])
@pytest.mark.parametrize("first", [False, True], ids=["last", "first"])
def test_images_of_unknown_size_are_resized_by_keras_arithmetic(method, channels, first):
    values = np.random.default_rng(0)
    for old, new in SIZES[method]:
        x = values.uniform(-1, 1, (2, *old, channels)).astype(np.float32)
        y = resized(x.transpose(0, 3, 1, 2) if first else x, new, method, first)
        found = y.transpose(0, 2, 3, 1) if first else y
        tolerance = 0 if method == "nearest" else 1e-5
        np.testing.assert_allclose(found, truth(x, new, method), rtol=0, atol=tolerance, err_msg=f"{old} to {new}")


def truth(x, size, method):
    """As TensorFlow's resize_nearest_neighbor_op and resize_bilinear_op compute it, one axis after the other."""
    for axis, new in enumerate(size, 1):
        old, half = x.shape[axis], np.float32(0.5)
        places = (np.arange(new, dtype=np.float32) + half) * (np.float32(old) / np.float32(new))
        if method == "nearest":
            x = x.take(np.minimum(np.floor(places), old - 1).astype(int), axis)
            continue
        floor = np.floor(places - half)
        lower, upper = np.maximum(floor, 0).astype(int), np.minimum(np.ceil(places - half), old - 1).astype(int)
        part = (places - half - floor).reshape([-1 if i == axis else 1 for i in range(4)])
        x = x.take(lower, axis) + (x.take(upper, axis) - x.take(lower, axis)) * part
    return x


def resized(x, size, method, first):
    """x, resized by ONNX Runtime in a graph that knows none of its lengths."""
    options = {"height": size[0], "width": size[1], "interpolation": method, "antialias": False}
    options |= {"crop_to_aspect_ratio": False, "pad_to_aspect_ratio": False}
    layer = Layer("Resizing", "size", {**options, "data_format": f"channels_{'first' if first else 'last'}"})
    shape = (None, x.shape[1], None, None) if first else (None, None, None, x.shape[3])
    function = function_of(layer, [shape])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    node = onnx.helper.make_node(function.name, ["x"], ["y"], domain=function.domain)
    graph = onnx.helper.make_graph([node], "resize", values[:1], values[1:])
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in (("", OPSET), (function.domain, 1))]
    model = onnx.helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    return y
