"""bridge parity --train-steps: both frameworks' own training, from one file each, ends at the same weights."""

import json
import math
import shutil

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper
from parity_files import LAYERS, MODELS, change, spoil, write_h5

from bridge.cli import cli
from bridge.convert import keras2torch
from bridge.data import Data
from bridge.errors import BridgeError, CheckFailed
from bridge.parity import compare, compare_gradients, compare_training


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """name -> (weights file, bridge folder, --arch)."""
    cache = {}

    def one(name):
        if name not in cache:
            folder = tmp_path_factory.mktemp(name)
            weights, arch = write_h5(folder / "weights.h5", LAYERS[name]), f"{MODELS}:{name}"
            keras2torch(weights, folder / "out", arch=arch)
            cache[name] = weights, folder / "out", arch
        return cache[name]

    return one


def edited(folder, to, **options):
    """A copy of a bridge folder in which the config of its BatchNormalization says otherwise."""
    shutil.copytree(folder, to)
    proto = onnx.load(to / "model.onnx")
    node = next(n for n in proto.graph.node if n.op_type == "BatchNormalization")
    attribute = next(a for a in node.attribute if a.name == "config")
    attribute.CopyFrom(helper.make_attribute("config", json.dumps(json.loads(attribute.s) | options)))
    onnx.save(proto, to / "model.onnx")
    return to


@pytest.mark.parametrize(
    "optimizer", ["adam", "rmsprop", "adamw", {"name": "sgd", "momentum": 0.9, "nesterov": True}], ids=str
)
def test_training_ends_at_the_weights_of_keras(made, optimizer):
    weights, folder, arch = made("normalised")
    found = compare_training([weights, folder], steps=40, optimizer=optimizer, arch=arch)
    assert found.ok
    assert found.moved > 1e-3
    assert max(found.trained, found.state, found.loss) < 1e-5
    assert {row.weight for row in found.rows if row.state} == {"norm/moving_mean", "norm/moving_variance"}


def test_a_swapped_momentum_is_caught_though_all_outputs_agree(made, tmp_path):
    weights, folder, arch = made("normalised")
    swapped = edited(folder, tmp_path / "out", momentum=0.1)
    assert compare([weights, swapped], arch=arch).ok
    found = compare_training([weights, swapped], steps=3, arch=arch)
    assert not found.ok
    assert found.worst.weight.startswith("norm/moving_")
    assert found.trained < 1e-5 < found.state


def test_given_rows_are_used_again_when_they_run_out(made):
    weights, folder, arch = made("normalised")
    random = np.random.default_rng(0)
    rows = Data({"x": random.normal(size=(40, 6))}, random.integers(0, 3, 40), "rows.npz")
    found = compare_training([folder, weights], steps=7, batch=16, learning_rate=0.01, data=rows, arch=arch)
    assert found.ok
    assert (found.inputs, found.loss_name) == ("rows.npz", "sparse_categorical_crossentropy")


def test_several_inputs_and_outputs_train_alike(made):
    weights, folder, arch = made("two_outputs")
    found = compare_training([weights, folder], steps=20, arch=arch)
    assert found.ok
    assert found.loss_name == {"last": "sparse_categorical_crossentropy", "value": "mse"}


def test_other_weights_at_the_start_end_elsewhere(made, tmp_path):
    weights, folder, arch = made("normalised")
    bad = change(folder / "model.onnx", tmp_path / "bad.onnx", "first/bias", spoil(1, 2.0))
    found = compare_training([weights, bad], steps=2, arch=arch)
    assert not found.ok
    assert found.worst.weight == "first/bias"


def test_dropout_is_refused_because_the_masks_differ(made):
    weights, folder, arch = made("dropped")
    with pytest.raises(BridgeError, match=r"drop \(Dropout\) has rate 0\.25: random in training"):
        compare_training([weights, folder], steps=1, arch=arch)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ("kk", {}, "one Keras file with one bridge folder .* found 2 and 0"),
        ("f", {}, "found 0 and 1"),
        ("kf", {"steps": 0}, "--train-steps and --batch must be at least 1"),
        ("kf", {"loss": "hinge"}, "--loss hinge: there is no such loss"),
        ("kf", {"optimizer": "lion"}, "optimizer 'lion' is not known"),
        ("kf", {"optimizer": {"momentum": 0.9}}, "optimizer .*: says no name, as in"),
        ("kf", {"optimizer": {"name": "sgd", "beta_1": 0.9}}, "optimizer SGD: unknown option 'beta_1'"),
        ("kf", {"rtol": math.nan}, "--rtol nan: must be a positive number"),
        ("kf", {"seed": -1}, "--seed -1: must be a whole number, 0 or more"),
        ("kf", {"learning_rate": -1.0}, "--learning-rate -1.0: must be a positive number"),
        ("kf", {"data": Data({"x": np.zeros((2, 6))}, None, "x.npy")}, "x.npy: has no targets"),
    ],
)
def test_what_can_not_be_trained_alike_is_refused(made, files, options, message):
    weights, folder, arch = made("normalised")
    chosen = [{"k": weights, "f": folder}[letter] for letter in files]
    with pytest.raises(BridgeError, match=message):
        compare_training(chosen, **{"steps": 1, "arch": arch} | options)


@pytest.mark.parametrize("name", ["normalised", "two_outputs", "open_sizes"])
def test_gradients_of_every_weight_are_those_of_tensorflow(made, name):
    weights, folder, arch = made(name)
    found = compare_gradients([weights, folder], arch=arch)
    assert found.ok
    assert len(found.errors) == 6
    assert all(error < 1e-5 for error in found.errors.values())
    assert compare([weights, folder], arch=arch, rows=2).ok


def test_gradients_of_other_weights_differ(made, tmp_path):
    weights, folder, arch = made("normalised")
    bad = change(folder / "model.onnx", tmp_path / "bad.onnx", "last/kernel", spoil(1, 2.0))
    assert not compare_gradients([weights, bad], arch=arch).ok


def test_the_command_tells_of_the_training(made, tmp_path):
    weights, folder, arch = made("normalised")
    common = ["parity", str(weights), "--arch", arch, "--train-steps", "3"]
    good = CliRunner().invoke(cli, [*common, str(folder), "--optimizer", "sgd"], catch_exceptions=False)
    assert "Both train alike: 1e-05 is allowed." in good.stdout
    asked = '{"name": "sgd", "momentum": 0.9, "nesterov": true}'
    good = CliRunner().invoke(cli, [*common, str(folder), "--optimizer", asked], catch_exceptions=False)
    assert "sgd (momentum 0.9, nesterov True)" in good.stdout
    torn = CliRunner().invoke(cli, [*common, str(folder), "--optimizer", asked[:-1]])
    assert (torn.exit_code, "--optimizer is not JSON" in torn.stderr) == (2, True)
    for words in (["--rows", "3"], ["--no-layers"]):
        idle = CliRunner().invoke(cli, [*common, str(folder), *words])
        assert str(idle.exception) == f"{words[0]} is for comparing outputs: leave out {words[0]} or --train-steps."
    idle = CliRunner().invoke(cli, ["parity", str(folder), "--learning-rate", "0.1"])
    assert str(idle.exception).startswith("--learning-rate is for --train-steps N: pass that too")
    swapped = edited(folder, tmp_path / "out", momentum=0.1)
    bad = CliRunner().invoke(cli, [*common, str(swapped), "--json"])
    assert isinstance(bad.exception, CheckFailed)
    assert "The training differs, most in norm/moving_" in str(bad.exception)
    assert json.loads(bad.stdout)["ok"] is False
