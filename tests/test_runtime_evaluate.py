"""Evaluation: metrics against plain definitions and scikit-learn, every refusal, and what it loads."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import onnx_samples
import pytest
from click.testing import CliRunner
from onnx import helper

from bridge.cli.eval import command
from bridge.data import Data
from bridge.errors import BridgeError
from bridge.runtime import evaluate
from bridge.runtime.batches import Plan, device_batch, plan

ROWS = 203  # no multiple of any batch here


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.fixture
def classifier(tmp_path):
    model = onnx_samples.mlp((12, 9, 7))
    return onnx_samples.save(model, tmp_path / "m.onnx"), model


@pytest.fixture
def x(random):
    return random.normal(size=(ROWS, 12)).astype(np.float32)


@pytest.fixture
def labels(random):
    return random.integers(0, 7, ROWS)


@pytest.mark.parametrize(("batch", "threads"), [(1, 3), (32, 1), (32, 3), (150, 2), (1000, 2), (None, None)])
def test_loss_accuracy_and_top5_are_what_their_definitions_say(classifier, x, labels, batch, threads):
    file, model = classifier
    result = evaluate(file, Data({"x": x}, labels, "d"), batch=batch, threads=threads)
    p = onnx_samples.forward(model, x)
    assert result.scores["y"].loss_name == "sparse_categorical_crossentropy"
    assert result.loss == pytest.approx(-np.mean(np.log(p[np.arange(ROWS), labels])), rel=1e-6)
    assert result.accuracy == np.mean(p.argmax(axis=1) == labels)
    best = np.argsort(-p, axis=1)[:, :5]
    assert result.top5 == pytest.approx(np.mean([label in row for label, row in zip(labels, best, strict=True)]))
    assert (result.rows, result.provider, result.fell_back) == (ROWS, "cpu", None)
    assert result.batch == batch or batch is None
    assert result.total_seconds > result.seconds > 0


def test_batches_run_side_by_side_only_where_each_thread_gets_one():
    rows = Data({"x": np.zeros((1000, 2))}, None, "d")
    assert plan(rows, 100, 4) == Plan(batch=100, workers=4)
    assert plan(rows, 500, 2) == Plan(batch=500, workers=2)
    assert plan(rows, 500, 3) == Plan(batch=500, workers=1)
    assert plan(rows, None, 3) == Plan(batch=334, workers=3)
    assert plan(rows, None, 1) == Plan(batch=1000, workers=1)


def test_the_batch_goes_by_the_size_of_a_row():
    wide, images = (Data({"x": np.zeros(shape, np.uint8)}, None, "d") for shape in ((9000, 784), (300, 224, 224, 3)))
    assert plan(wide, None, 2).batch == 1024
    assert plan(images, None, 2).batch == 8
    assert (device_batch(wide), device_batch(images)) == (9000, 64)


def test_outputs_are_held_in_groups_that_feed_every_worker():
    from bridge.runtime.evaluate import HELD_BYTES, _chunks

    assert list(_chunks(5, 2, 1, 1)) == [[slice(0, 2), slice(2, 4), slice(4, 5)]]
    assert [len(chunk) for chunk in _chunks(10, 1, 3, HELD_BYTES)] == [3, 3, 3, 1]


def test_the_per_class_table_is_scikit_learns(classifier, x, labels):
    metrics = pytest.importorskip("sklearn.metrics")
    labels[labels == 5] = 4  # a class that no row has
    file, model = classifier
    rows = evaluate(file, Data({"x": x}, labels, "d")).scores["y"].classes
    predicted = onnx_samples.forward(model, x).argmax(axis=1)
    expected = metrics.precision_recall_fscore_support(labels, predicted, labels=range(7), zero_division=0)
    found = [(r.precision, r.recall, r.f1, r.support) for r in rows]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12)
    assert [r.label for r in rows] == list(range(7))


def test_top5_is_left_out_where_it_says_nothing(tmp_path, x, labels):
    file = onnx_samples.save(onnx_samples.mlp((12, 5)), tmp_path / "m.onnx")
    assert evaluate(file, Data({"x": x}, labels % 5, "d")).top5 is None


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


@pytest.fixture
def two(tmp_path):
    """a, b (batch, 3) -> sum (batch, 3), the softmax of it."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Softmax", ["sum"], ["soft"])]
    model = onnx_samples.make(nodes, {"a": ["n", 3], "b": ["n", 3]}, {"sum": ["n", 3], "soft": ["n", 3]})
    return onnx_samples.save(model, tmp_path / "two.onnx")


def test_several_inputs_and_outputs_go_by_name_and_the_losses_add_up(two, random):
    a, b = random.normal(size=(2, 20, 3)).astype(np.float32)
    y = random.integers(0, 3, 20)
    result = evaluate(two, Data({"b": b, "a": a}, {"soft": y, "sum": a}, "d"), batch=8)
    assert result.scores["sum"].loss == pytest.approx(np.mean(b**2), rel=1e-5)
    assert result.scores["soft"].accuracy == np.mean((a + b).argmax(axis=1) == y)
    assert result.loss == result.scores["sum"].loss + result.scores["soft"].loss
    with pytest.raises(ValueError, match=r"several outputs \(sum, soft\)"):
        _ = result.accuracy


def test_targets_of_one_of_several_outputs_are_enough(two, random):
    a, b = random.normal(size=(2, 20, 3)).astype(np.float32)
    assert list(evaluate(two, Data({"a": a, "b": b}, {"sum": a}, "d")).scores) == ["sum"]


def test_targets_that_fit_no_output_are_refused(two, x):
    inputs = {"a": x[:, :3], "b": x[:, :3]}
    with pytest.raises(BridgeError, match=r"d: has one array of targets, the model has the outputs sum, soft"):
        evaluate(two, Data(inputs, x[:, :3], "d"))
    with pytest.raises(BridgeError, match=r"d: has targets for other; the model's outputs are sum, soft"):
        evaluate(two, Data(inputs, {"other": x[:, :3]}, "d"))
    with pytest.raises(BridgeError, match=r"d: has no targets, and a loss needs them"):
        evaluate(two, Data(inputs, None, "d"))


def test_a_model_of_one_batch_size_evaluates_any_number_of_rows(tmp_path, classifier, x, labels):
    fixed = onnx_samples.save(onnx_samples.mlp((12, 9, 7), batch=16), tmp_path / "fixed.onnx")
    data = Data({"x": x}, labels, "d")
    one, other = evaluate(fixed, data), evaluate(classifier[0], data)
    assert one.batch == 16
    assert one.loss == pytest.approx(other.loss, rel=1e-6)
    assert one.scores["y"].classes == other.scores["y"].classes
    with pytest.raises(BridgeError, match=r"--batch 8: .*fixed.onnx was exported for batches of 16 alone"):
        evaluate(fixed, data, batch=8)


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


def test_images_are_flattened_and_scaled_on_the_way_in(classifier, random, labels):
    file, model = classifier
    images = random.integers(0, 256, (ROWS, 3, 4), dtype=np.uint8)
    result = evaluate(file, Data({"pixels": images}, labels, "d"), scale=255)
    p = onnx_samples.forward(model, images.reshape(ROWS, 12) / 255)
    assert result.loss == pytest.approx(-np.mean(np.log(p[np.arange(ROWS), labels])), rel=1e-5)


def test_nan_and_infinity_in_the_outputs_are_counted_and_never_right(tmp_path, random):
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    file = onnx_samples.save(onnx_samples.make(nodes, {"x": ["b", 3]}, {"y": ["b", 3]}), tmp_path / "m.onnx")
    x = random.uniform(1, 2, (20, 3)).astype(np.float32)
    x[11, 1], x[11, 2], x[17, 0] = -1, -1, 0  # NaN, NaN, -inf
    y = np.abs(x).argmax(axis=1)
    y[11] = 1
    result = evaluate(file, Data({"x": x}, y, "d"), batch=4)
    (found,) = result.not_finite
    assert (found.output, found.values, found.rows, found.first_row) == ("y", 3, 2, 11)
    assert math.isnan(result.loss)
    assert result.accuracy == 19 / 20
    assert result.as_json()["loss"] is None
    json.dumps(result.as_json(), allow_nan=False)


def test_finite_outputs_are_not_reported(classifier, x, labels):
    assert evaluate(classifier[0], Data({"x": x}, labels, "d")).not_finite == []


def test_progress_ends_at_all_rows(classifier, x, labels):
    seen = []
    evaluate(classifier[0], Data({"x": x}, labels, "d"), batch=100, progress=lambda *done: seen.append(done))
    assert seen == [(100, ROWS), (200, ROWS), (ROWS, ROWS)]


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


def test_a_bridge_folder_is_its_model_onnx(tmp_path, classifier, x, labels):
    data = Data({"x": x}, labels, "d")
    (tmp_path / "out").mkdir()
    classifier[0].rename(tmp_path / "out" / "model.onnx")
    (tmp_path / "out" / "model.safetensors").write_bytes(b"weights that no file speaks of")
    assert evaluate(tmp_path / "out", data).loss == evaluate(tmp_path / "out" / "model.onnx", data).loss


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


def npz(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return str(folder / "d.npz")


def test_the_command_prints_what_a_person_wants_to_know_within_80_columns(tmp_path, classifier, x, labels):
    done = CliRunner().invoke(command, [str(classifier[0]), "--data", npz(tmp_path, x=x, y=labels)])
    assert done.exit_code == 0, done.output
    for word in (
        "provider  cpu",
        "accuracy  0.",
        "top-5     0.",
        "sparse_categorical_crossentropy",
        "rows/s",
        "precision",
    ):
        assert word in done.output
    assert all(len(line) <= 80 for line in done.output.splitlines()[1:])  # the first line has the user's own paths


def test_the_command_says_that_it_fell_back(tmp_path, classifier, x, labels):
    options = ["--data", npz(tmp_path, x=x, y=labels), "--provider", "qnn", "--fallback", "cpu"]
    done = CliRunner().invoke(command, [str(classifier[0]), *options])
    assert "provider  cpu" in done.output
    assert "fallback  yes, because provider qnn: no session can use it" in done.output


def test_the_command_reports_outputs_that_are_not_finite(tmp_path):
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    file = onnx_samples.save(onnx_samples.make(nodes, {"x": ["b", 2]}, {"y": ["b", 2]}), tmp_path / "m.onnx")
    data = npz(tmp_path, x=np.array([[1, 2], [0, 1]], np.float32), y=np.array([0.5, 0.5])[:, None] * np.ones(2))
    done = CliRunner().invoke(command, [str(file), "--data", data])
    assert "NOT FINITE" in done.output
    assert "1 values of y in 1 rows" in " ".join(done.output.split())


def test_the_command_prints_json(tmp_path, classifier, x, labels):
    data = npz(tmp_path, x=x, y=labels)
    done = CliRunner().invoke(command, [str(classifier[0]), "--data", data, "--json", "--batch", "64"])
    result = json.loads(done.stdout)
    assert (result["provider"], result["rows"], result["batch"]) == ("cpu", ROWS, 64)
    assert result["loss"] == pytest.approx(evaluate(classifier[0], Data({"x": x}, labels, "d")).loss)


def test_evaluating_loads_neither_tensorflow_nor_torch(tmp_path, classifier, x, labels):
    program = (
        "import sys\n"
        "from bridge.cli.eval import command\n"
        "assert 'onnxruntime' not in sys.modules and 'numpy' not in sys.modules\n"
        "command(sys.argv[1:], standalone_mode=False)\n"
        "loaded = {'tensorflow', 'keras', 'torch', 'tf2onnx', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert 'onnxruntime' in sys.modules\n"
    )
    arguments = [str(classifier[0]), "--data", npz(tmp_path, x=x, y=labels), "--part", "all"]
    done = subprocess.run([sys.executable, "-P", "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
