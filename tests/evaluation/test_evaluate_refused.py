"""What an evaluation refuses: options, targets, data and models that don't fit."""

from __future__ import annotations

import numpy as np
import onnx_samples
import pytest
from evaluation_rows import ROWS
from onnx import helper

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.runtime import evaluate


def test_an_output_without_batch_axis_is_refused(tmp_path, x):
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)]
    file = onnx_samples.save(onnx_samples.make(nodes, {"x": ["b", 12]}, {"y": [1, 1]}), tmp_path / "m.onnx")
    with pytest.raises(
        BridgeError, match=r"its output y is \(1, 1\) for a batch of 64; the first axis must be the batch"
    ):
        evaluate(file, Data({"x": x}, x[:, 0], "d"))


def test_an_input_without_batch_axis_is_refused(tmp_path, x):
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    file = onnx_samples.save(onnx_samples.make(nodes, {"x": []}, {"y": []}), tmp_path / "m.onnx")
    with pytest.raises(BridgeError, match="its input x has no batch axis"):
        evaluate(file, Data({"x": x}, x[:, 0], "d"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, r"--loss hinge: there is no such loss\.\nKnown are: sparse_categorical_crossentropy,"),
        ({"batch": 0}, r"--batch 0: must be 1 or more"),
        ({"threads": 0}, r"--threads 0: must be 1 or more"),
        ({"provider": "gpu"}, r"--provider gpu: there is no such provider"),
        ({"fallback": "gpu"}, r"--fallback gpu: there is no such provider"),
        ({"scale": 0}, r"the scale is 0; it must be a positive number"),
    ],
)
def test_an_option_out_of_range_is_refused(classifier, x, labels, options, message):
    with pytest.raises(BridgeError, match=message):
        evaluate(classifier[0], Data({"x": x}, labels, "d"), **options)


@pytest.mark.parametrize(
    ("targets", "loss", "message"),
    [
        (np.full(ROWS, 7), None, r"d: y: the label in row 0 \(from 0\) is 7; the model has 7 classes"),
        (np.full(ROWS, 0.5), None, r"d: the targets are not whole numbers, and the model's output y is 7 classes"),
        (np.eye(9)[np.zeros(ROWS, int)], None, r"d: a target is 9 values, the model's output y is 7 values"),
        (np.zeros(ROWS), "mse", r"d: y: a target is \(1,\); the model's output is \(7,\)"),
        (np.full((ROWS, 7), 2.0), "binary_crossentropy", r"row 0 \(from 0\) is 2; binary_crossentropy wants values"),
    ],
)
def test_targets_that_do_not_fit_are_refused(classifier, x, targets, loss, message):
    with pytest.raises(BridgeError, match=message):
        evaluate(classifier[0], Data({"x": x}, targets, "d"), loss=loss)


def test_a_categorical_loss_of_a_single_unit_is_refused(tmp_path, x):
    file = onnx_samples.save(onnx_samples.mlp((12, 1), final="Sigmoid"), tmp_path / "m.onnx")
    with pytest.raises(BridgeError, match=r"needs one output for each class, y has 1"):
        evaluate(file, Data({"x": x}, np.zeros(ROWS), "d"), loss="sparse_categorical_crossentropy")


def test_data_of_another_size_is_refused(classifier, x, labels):
    with pytest.raises(BridgeError, match=r"d: a row of x is 11 values; the model's input x wants 12 values"):
        evaluate(classifier[0], Data({"x": x[:, 1:]}, labels, "d"))


def test_nan_in_the_data_is_refused(classifier, x, labels):
    x[3, 5] = np.nan
    with pytest.raises(BridgeError, match="d: x is nan in row 3, position 5"):
        evaluate(classifier[0], Data({"x": x}, labels, "d"))


def test_torch_weights_newer_than_the_onnx_file_are_refused(tmp_path, x, labels):
    import hashlib

    digest = hashlib.sha256(b"old").hexdigest()
    onnx_samples.save(onnx_samples.mlp((12, 7), **{"bridge.torch_sha256": digest}), tmp_path / "model.onnx")
    data = Data({"x": x}, labels, "d")
    (tmp_path / "model.safetensors").write_bytes(b"old")
    evaluate(tmp_path, data)
    (tmp_path / "model.safetensors").write_bytes(b"new")
    for model in (tmp_path, tmp_path / "model.onnx"):
        with pytest.raises(
            BridgeError, match=r"has changed since model.onnx was written.\nBring it up to date: bridge"
        ):
            evaluate(model, data)


def test_a_folder_that_bridge_did_not_write_is_refused(tmp_path, x, labels):
    with pytest.raises(BridgeError, match=r"is not a bridge folder \(it has no model.onnx\)"):
        evaluate(tmp_path, Data({"x": x}, labels, "d"))


def test_a_link_out_of_the_bridge_folder_is_refused(tmp_path, classifier, x, labels):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.onnx").symlink_to(classifier[0])
    with pytest.raises(BridgeError, match="which lies outside its own folder"):
        evaluate(tmp_path / "out", Data({"x": x}, labels, "d"))


def test_a_keras_file_is_refused_with_the_command_that_converts_it(tmp_path, x, labels):
    (tmp_path / "m.keras").write_bytes(b"PK")
    with pytest.raises(BridgeError, match=r"is a Keras file.*\nConvert it first: bridge convert keras2onnx .* m.onnx"):
        evaluate(tmp_path / "m.keras", Data({"x": x}, labels, "d"))
