"""Evaluation: metrics against plain definitions and scikit-learn."""

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
from bridge.runtime.batches import Plan, device_batch, plan


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


def test_a_bridge_folder_is_its_model_onnx(tmp_path, classifier, x, labels):
    data = Data({"x": x}, labels, "d")
    (tmp_path / "out").mkdir()
    classifier[0].rename(tmp_path / "out" / "model.onnx")
    (tmp_path / "out" / "model.safetensors").write_bytes(b"weights that no file speaks of")
    assert evaluate(tmp_path / "out", data).loss == evaluate(tmp_path / "out" / "model.onnx", data).loss
