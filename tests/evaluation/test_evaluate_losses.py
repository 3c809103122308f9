"""The losses of an evaluation: which one a model's end and its targets mean, and that they are Keras's."""

from __future__ import annotations

import json
import math

import numpy as np
import onnx_samples
import pytest
from evaluation_rows import ROWS
from onnx import helper

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.runtime import evaluate


def test_one_hot_labels_give_what_their_numbers_give(classifier, x, labels):
    file, _ = classifier
    numbers, one_hot = (evaluate(file, Data({"x": x}, y, "d")) for y in (labels, np.eye(7)[labels]))
    assert one_hot.scores["y"].loss_name == "categorical_crossentropy"
    assert one_hot.loss == pytest.approx(numbers.loss, rel=1e-6)
    assert one_hot.scores["y"].classes == numbers.scores["y"].classes


def test_a_model_that_ends_in_logits_has_the_loss_of_its_softmax(tmp_path, x, labels):
    plain, logits = onnx_samples.mlp((12, 7)), onnx_samples.mlp((12, 7), final=None)
    data = Data({"x": x}, labels, "d")
    files = [onnx_samples.save(m, tmp_path / f"{i}.onnx") for i, m in enumerate((plain, logits))]
    one, other = (evaluate(file, data) for file in files)
    assert one.loss == pytest.approx(other.loss, rel=1e-6)
    assert one.accuracy == other.accuracy


def test_a_very_wrong_softmax_is_not_clipped_because_keras_takes_its_loss_from_the_logits(tmp_path):
    file = onnx_samples.save(
        onnx_samples.make([helper.make_node("Softmax", ["x"], ["y"])], {"x": ["b", 2]}, {"y": ["b", 2]}),
        tmp_path / "m.onnx",
    )
    x = np.array([[0, 40]], np.float32)
    assert evaluate(file, Data({"x": x}, np.array([0]), "d")).loss == pytest.approx(40, rel=1e-6)


@pytest.mark.parametrize("one_hot", [False, True])
def test_probabilities_of_unknown_origin_are_clipped_and_normalised_as_keras_does(tmp_path, one_hot):
    file = onnx_samples.save(
        onnx_samples.make([helper.make_node("Relu", ["x"], ["y"])], {"x": ["b", 3]}, {"y": ["b", 3]}),
        tmp_path / "m.onnx",
    )
    x = np.array([[0.0, 0.3, 0.2]], np.float32)  # sums to 0.5
    labels = np.array([0])
    data = Data({"x": x}, np.eye(3)[labels] if one_hot else labels, "d")
    clipped = np.clip(x[0], 1e-7, 1 - 1e-7).astype(np.float64)
    loss = -math.log(1e-7) if one_hot else -math.log(clipped[0] / clipped.sum())
    assert evaluate(file, data).loss == pytest.approx(loss, rel=1e-5)


def test_a_single_sigmoid_is_binary(tmp_path, x, random):
    model = onnx_samples.mlp((12, 6, 1), final="Sigmoid")
    file = onnx_samples.save(model, tmp_path / "m.onnx")
    y = random.integers(0, 2, ROWS)
    result = evaluate(file, Data({"x": x}, y, "d"), batch=50)
    p = onnx_samples.forward(model, x)[:, 0]
    assert result.scores["y"].loss_name == "binary_crossentropy"
    assert result.loss == pytest.approx(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), rel=1e-5)
    assert result.accuracy == np.mean((p > 0.5) == y)
    assert [row.support for row in result.scores["y"].classes] == [ROWS - y.sum(), y.sum()]


def test_binary_logits_have_the_loss_of_their_sigmoid(tmp_path, x, random):
    y = random.integers(0, 2, ROWS).astype(np.float32)
    losses = []
    for final in ("Sigmoid", None):
        file = onnx_samples.save(onnx_samples.mlp((12, 1), final=final), tmp_path / "m.onnx")
        losses.append(evaluate(file, Data({"x": x}, y, "d"), loss="binary_crossentropy").loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # 1 - p loses digits that the logit has


def test_several_sigmoids_with_zeros_and_ones_are_several_binary_labels(tmp_path, x, random):
    model = onnx_samples.mlp((12, 3), final="Sigmoid")
    file = onnx_samples.save(model, tmp_path / "m.onnx")
    y = random.integers(0, 2, (ROWS, 3))
    y[0] = 1
    result = evaluate(file, Data({"x": x}, y, "d"))
    p = onnx_samples.forward(model, x)
    assert result.scores["y"].loss_name == "binary_crossentropy"
    assert result.loss == pytest.approx(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), rel=1e-4)
    assert result.accuracy == np.mean((p > 0.5) == y)
    assert result.scores["y"].classes == []


@pytest.mark.parametrize("loss", [None, "mse", "mae"])
def test_other_targets_are_a_regression(tmp_path, x, random, loss):
    model = onnx_samples.mlp((12, 2), final=None)
    file = onnx_samples.save(model, tmp_path / "m.onnx")
    y = random.normal(size=(ROWS, 2))
    result = evaluate(file, Data({"x": x}, y, "d"), loss=loss)
    off = onnx_samples.forward(model, x) - y
    assert result.scores["y"].loss_name == (loss or "mse")
    assert result.loss == pytest.approx(np.mean(np.abs(off)) if loss == "mae" else np.mean(off**2), rel=1e-5)
    assert result.scores["y"].mae == pytest.approx(np.mean(np.abs(off)), rel=1e-5)
    assert result.accuracy is None


def test_labels_of_a_sequence_are_classes_of_each_step(tmp_path, random):
    nodes = [helper.make_node("Softmax", ["x"], ["y"])]
    model = onnx_samples.make(nodes, {"x": ["b", 4, 3]}, {"y": ["b", 4, 3]})
    file = onnx_samples.save(model, tmp_path / "m.onnx")
    x, y = random.normal(size=(10, 4, 3)).astype(np.float32), random.integers(0, 3, (10, 4))
    result = evaluate(file, Data({"x": x}, y, "d"), batch=4)
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    assert result.accuracy == np.mean(p.argmax(axis=-1) == y)
    assert result.loss == pytest.approx(-np.mean(np.log(np.take_along_axis(p, y[..., None], -1))), rel=1e-5)
    with pytest.raises(BridgeError, match=r"d: the targets are \(10,\); the model's output y wants \(10, 4\)"):
        evaluate(file, Data({"x": x}, y[:, 0], "d"))


KERAS = """
import sys, numpy as np
from keras import Input, Model, layers, metrics
given = np.load(sys.argv[1])
x = Input((7,))
found = {}
for name, final, loss, y in (
    ("softmax", "softmax", "sparse_categorical_crossentropy", given["labels"]),
    ("one_hot", "softmax", "categorical_crossentropy", given["one_hot"]),
    ("unknown", "relu", "sparse_categorical_crossentropy", given["labels"]),
    ("unknown_one_hot", "relu", "categorical_crossentropy", given["one_hot"]),
    ("sigmoid", "sigmoid", "binary_crossentropy", given["one_hot"]),
    ("mse", "linear", "mse", given["targets"]),
    ("mae", "linear", "mae", given["targets"]),
):
    model = Model(x, layers.Activation(final)(x))
    top5 = metrics.SparseTopKCategoricalAccuracy(5, name="top5")
    model.compile(loss=loss, metrics=["accuracy", top5] if name == "softmax" else [])
    found[name] = np.atleast_1d(model.evaluate(given[final if final == "relu" else "x"], y, verbose=0))
np.savez(sys.argv[2], **found)
"""


@pytest.mark.slow
def test_losses_and_metrics_are_those_of_keras_evaluate(keras, tmp_path, random, labels):
    arrays = {
        "x": random.normal(scale=3, size=(ROWS, 7)).astype(np.float32),
        "relu": random.uniform(0, 0.3, (ROWS, 7)).astype(np.float32),  # within 0 and 1, sums to anything
        "labels": labels,
        "one_hot": np.eye(7, dtype=np.float32)[labels],
        "targets": random.normal(size=(ROWS, 7)).astype(np.float32),
    }
    arrays["relu"][::5, :3] = 0
    np.savez(tmp_path / "given.npz", **arrays)
    keras.script(KERAS, tmp_path / "given.npz", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as file:
        wanted = dict(file)

    def ours(operator: str, x: str, y: str, loss: str | None = None):
        node = helper.make_node(operator, ["x"], ["y"])
        model = onnx_samples.make([node], {"x": ["b", 7]}, {"y": ["b", 7]})
        return evaluate(
            onnx_samples.save(model, tmp_path / "m.onnx"), Data({"x": arrays[x]}, arrays[y], "d"), loss=loss
        )

    softmax = ours("Softmax", "x", "labels")
    assert [softmax.loss, softmax.accuracy, softmax.top5] == pytest.approx(wanted["softmax"].tolist(), rel=1e-6)
    assert ours("Softmax", "x", "one_hot").loss == pytest.approx(wanted["one_hot"][0], rel=1e-6)
    assert ours("Relu", "relu", "labels").loss == pytest.approx(wanted["unknown"][0], rel=1e-6)
    assert ours("Relu", "relu", "one_hot").loss == pytest.approx(wanted["unknown_one_hot"][0], rel=1e-6)
    sigmoid = ours("Sigmoid", "x", "one_hot", "binary_crossentropy")
    assert sigmoid.loss == pytest.approx(wanted["sigmoid"][0], rel=1e-5)  # Keras has the logits, here 1 - p lost digits
    assert ours("Identity", "x", "targets", "mse").loss == pytest.approx(wanted["mse"][0], rel=1e-6)
    assert ours("Identity", "x", "targets", "mae").loss == pytest.approx(wanted["mae"][0], rel=1e-6)


@pytest.mark.parametrize(
    ("config", "final"),
    [
        ({"activation": "softmax"}, "softmax"),
        ({"activation": {"class_name": "function", "config": "sigmoid"}}, "sigmoid"),
        ({"activation": "relu"}, "unknown"),
    ],
)
def test_the_final_activation_of_a_layered_model_is_read_from_its_layer(config, final):
    from bridge.runtime.final import final_activation

    node = helper.make_node("Activation", ["x"], ["a"], domain="keras", config=json.dumps(config))
    after = helper.make_node("Dropout", ["a"], ["y"], domain="keras", config="{}")
    model = onnx_samples.make([node, after], {"x": ["b", 2]}, {"y": ["b", 2]})
    assert final_activation(model, "y") == final
