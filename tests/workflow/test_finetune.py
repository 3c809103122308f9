"""Fine-tuning the pretrained network on digits: the three transfers, heads, freezing, resuming, refusals."""

import csv
import re

import numpy as np
import pytest
import torch

import bridge as api
from bridge.data import Data, read
from bridge.folder import read_graph
from bridge.torch_side.training.finetune import finetune

TUNE = ["--data", "digits", "--scale", 255]


@pytest.fixture(scope="module")
def digits():
    return read("digits").head(320)


@pytest.fixture(scope="module")
def tuned(bridge, converted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "t"
    result = bridge("finetune", converted, *TUNE, "--epochs", 2, "-o", folder)
    assert result.code == 0, result.err
    return folder


def test_finetune_writes_a_folder_that_holds_the_trained_network(bridge, converted, tuned):
    names = {p.name for p in tuned.iterdir()}
    assert names == {"model.onnx", "model.safetensors", "model.py", "map.json", "history.csv", "checkpoint.safetensors"}
    rows = list(csv.DictReader((tuned / "history.csv").read_text().splitlines()))
    assert [r["epoch"] for r in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    before, after = read_graph(converted).arrays, read_graph(tuned).arrays
    assert all(not np.array_equal(before[path], after[path]) for path in before)
    result = bridge("eval", tuned, *TUNE, "--json")
    assert result.code == 0
    assert '"accuracy"' in result.out


def test_tuned_weights_go_home_to_keras(bridge, tuned, tmp_path):
    assert bridge("convert", "torch2keras", tuned, "-o", tmp_path / "t.keras").code == 0
    assert bridge("convert", "keras2torch", tmp_path / "t.keras", "-o", tmp_path / "again").code == 0
    ours, theirs = read_graph(tmp_path / "again").arrays, read_graph(tuned).arrays
    for path, array in theirs.items():
        np.testing.assert_array_equal(ours[path], array)


def test_features_trains_the_head_alone(converted, digits):
    result = finetune(converted, digits, transfer="features", epochs=1, scale=255)
    before, after = api.load(converted).state_dict(), result.module.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"dense_2.weight", "dense_2.bias"}
    assert set(result.frozen) == {"dense.weight", "dense.bias", "dense_1.weight", "dense_1.bias"}


def test_structure_begins_with_keras_initializers(converted, digits):
    a = finetune(converted, digits, transfer="structure", epochs=1, scale=255, learning_rate=1e-12, seed=1)
    kernel = a.module.state_dict()["dense.weight"]
    limit = (6 / (784 + 64)) ** 0.5  # Glorot's
    assert float(kernel.abs().max()) <= limit * 1.001
    assert float(kernel.abs().max()) > limit * 0.99
    assert float(a.module.state_dict()["dense.bias"].abs().max()) < 1e-6


def test_new_head_reaches_onnx_torch_and_keras(bridge, converted, digits, tmp_path):
    few = digits.take(np.flatnonzero(digits.targets < 3))
    folder = tmp_path / "three"
    finetune(converted, few, folder, classes=3, epochs=1, scale=255)
    assert read_graph(folder).arrays["dense_2/kernel"].shape == (64, 3)
    assert api.load(folder)(torch.rand(2, 784)).shape == (2, 3)
    assert bridge("convert", "torch2keras", folder, "-o", tmp_path / "three.keras").code == 0
    assert bridge("convert", "keras2torch", tmp_path / "three.keras", "-o", tmp_path / "again").code == 0
    np.testing.assert_array_equal(
        read_graph(tmp_path / "again").arrays["dense_2/kernel"], read_graph(folder).arrays["dense_2/kernel"]
    )


def test_freeze_keeps_what_its_pattern_names(converted, digits):
    result = finetune(converted, digits, freeze=["dense_1"], epochs=1, scale=255)
    before, after = api.load(converted).state_dict(), result.module.state_dict()
    assert torch.equal(before["dense_1.weight"], after["dense_1.weight"])
    assert not torch.equal(before["dense.weight"], after["dense.weight"])


def test_frozen_by_choice_is_not_frozen_in_the_result(converted, digits, tmp_path):
    finetune(converted, digits, tmp_path / "f", freeze=["dense"], epochs=1, scale=255)
    assert all(p.requires_grad for p in api.load(tmp_path / "f").parameters())


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(converted, digits, tmp_path):
    options = {"scale": 255, "seed": 3, "optimizer": "rmsprop"}
    whole = finetune(converted, digits, tmp_path / "whole", epochs=4, **options)

    class Stop(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise Stop

    with pytest.raises(Stop):
        finetune(converted, digits, tmp_path / "part", epochs=4, on_epoch=stop, **options)
    assert not (tmp_path / "part").exists()
    assert (tmp_path / "part.unfinished").is_dir()
    resumed = finetune(converted, digits, tmp_path / "part", epochs=4, resume=True, **options)
    assert not (tmp_path / "part.unfinished").exists()
    assert resumed.history.rows == whole.history.rows
    for key, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[key]), key


def interrupted(converted, digits, output, **options):
    """Leaves the state of one epoch beside `output`."""

    class Stop(Exception):
        pass

    def stop(row):
        raise Stop

    with pytest.raises(Stop):
        finetune(converted, digits, output, epochs=2, scale=255, on_epoch=stop, **options)
    return output.with_name(f"{output.name}.unfinished")


def test_a_refused_run_touches_no_state(converted, digits, tmp_path):
    state = interrupted(converted, digits, tmp_path / "t") / "checkpoint.safetensors"
    before = state.read_bytes()
    for options, message in (
        ({"resume": True, "scale": 100}, r"data \(checksum\) was"),
        ({"resume": True, "scale": 255, "transfer": "structure"}, r'transfer was "parameters" in that run'),
        ({"force": True, "loss": "hinge"}, "hinge"),
        ({"seed": -1}, r"--seed -1: must be a whole number, 0 or more"),
        ({}, "an interrupted run to .* left its state here"),
    ):
        with pytest.raises(api.BridgeError, match=message):
            finetune(converted, digits, tmp_path / "t", epochs=2, **options)
        assert state.read_bytes() == before
    finetune(converted, digits, tmp_path / "t", epochs=1, scale=255, force=True)
    assert {p.name for p in tmp_path.iterdir()} == {"t"}


def test_a_refused_resume_of_a_finished_run_leaves_nothing(converted, digits, tmp_path):
    finetune(converted, digits, tmp_path / "t", epochs=1, scale=255)
    with pytest.raises(api.BridgeError, match="batch was 32 in that run and is 16 now"):
        finetune(converted, digits, tmp_path / "t", epochs=2, scale=255, resume=True, batch=16)
    assert {p.name for p in tmp_path.iterdir()} == {"t"}
    again = finetune(converted, digits, tmp_path / "t", epochs=1, scale=255, resume=True)
    assert len(again.history.rows) == 1
    assert (tmp_path / "t" / "checkpoint.safetensors").is_file()
    assert {p.name for p in tmp_path.iterdir()} == {"t"}


def test_a_folder_of_the_users_is_not_deleted_whatever_its_name(converted, digits, tmp_path):
    (tmp_path / "t.unfinished").mkdir()
    (tmp_path / "t.unfinished" / "diary.txt").write_text("mine")
    finetune(converted, digits, tmp_path / "t", epochs=1, scale=255)
    assert [p.name for p in (tmp_path / "t.unfinished").iterdir()] == ["diary.txt"]
    (tmp_path / "u.unfinished").write_text("a file")
    with pytest.raises(api.BridgeError, match=r"u.unfinished: is in the way"):
        finetune(converted, digits, tmp_path / "u", epochs=1, scale=255)


def test_what_is_frozen_in_a_module_stays_frozen(converted, digits):
    module = api.load(converted)
    module.dense.requires_grad_(False)
    module.dense_2.requires_grad_(False)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    result = api.finetune(module, digits, epochs=1, scale=255)
    assert set(result.frozen) == {"dense.weight", "dense.bias", "dense_2.weight", "dense_2.bias"}
    changed = {k for k, v in result.module.state_dict().items() if not torch.equal(before[k], v)}
    assert changed == {"dense_1.weight", "dense_1.bias"}
    result = api.finetune(module, digits, epochs=1, scale=255, classes=10)
    assert set(result.frozen) == {"dense.weight", "dense.bias"}


def test_a_finished_run_can_go_on(converted, digits, tmp_path):
    finetune(converted, digits, tmp_path / "t", epochs=1, scale=255)
    more = finetune(converted, digits, tmp_path / "t", epochs=2, scale=255, resume=True)
    assert len(more.history.rows) == 2


def test_module_given_by_hand_is_left_as_it_is(converted, digits):
    module = api.load(converted)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    result = api.finetune(module, digits, epochs=1, scale=255, validation=None)
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert not torch.equal(before["dense.weight"], result.module.state_dict()["dense.weight"])


def save(path, x, y):
    np.savez(path, x=x, y=y)
    return path


def made(tmp_path, case):
    random = np.random.default_rng(0)
    x, y = random.random((40, 784), dtype=np.float32), random.integers(0, 10, 40)
    if case == "label":
        y[7] = 12
    if case == "features":
        x = x[:, :700]
    if case == "nan":
        x[3, 5] = np.nan
    return save(tmp_path / "d.npz", x, y)


BAD_DATA = {
    "label": r"d\.npz: y: row 7 has class 12, the network has 0 to 9",
    "features": r"a row of x is 700 values; the model's input input_layer wants 784",
    "nan": r"d\.npz: x is nan in row 3, position 5",
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_does_not_fit_is_refused_by_name(bridge, converted, tmp_path, case):
    data = made(tmp_path, case)
    result = bridge("finetune", converted, "--data", data, "-o", tmp_path / "t", "--epochs", 1)
    assert result.code == 2
    assert re.search(BAD_DATA[case], result.err), result.err
    assert len(result.err.splitlines()) <= 3
    assert {p.name for p in tmp_path.iterdir()} == {"d.npz"}


REFUSED = {
    "keras file": (["finetune", "{models}/pretrained_model.h5", *TUNE, "-o", "{tmp}/t"], "Convert it first"),
    "unknown optimizer": (["finetune", "{converted}", *TUNE, "-o", "{tmp}/t", "--optimizer", "adamax"], "adamax"),
    "unknown loss": (["finetune", "{converted}", *TUNE, "-o", "{tmp}/t", "--loss", "hinge"], "hinge"),
    "pattern": (["finetune", "{converted}", *TUNE, "-o", "{tmp}/t", "--freeze", "conv*"], "'conv\\*' matches no layer"),
    "everything frozen": (
        ["finetune", "{converted}", *TUNE, "-o", "{tmp}/t", "--freeze", "*"],
        "no trainable parameter",
    ),
    "output exists": (["finetune", "{converted}", *TUNE, "-o", "{converted}"], "exists already"),
    "nothing to resume": (["finetune", "{converted}", *TUNE, "-o", "{tmp}/t", "--resume"], "no run to resume"),
    "epochs": (["finetune", "{converted}", *TUNE, "-o", "{tmp}/t", "--epochs", "0"], "at least 1"),
    "data": (["finetune", "{converted}", "--data", "dogs", "-o", "{tmp}/t"], "dogs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_get_one_message_and_leave_nothing(bridge, converted, tmp_path, case):
    words, expected = REFUSED[case]
    from .conftest import MODELS

    result = bridge(*(str(w).format(tmp=tmp_path, converted=converted, models=MODELS) for w in words))
    assert result.code == 2
    assert re.search(expected, result.err), result.err
    assert len(result.err.splitlines()) <= 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["finetune", "none", *TUNE, "-o", "t"], ["parity", "none"]], ids=["finetune", "parity"]
)
def test_a_negative_seed_is_refused(bridge, words):
    result = bridge(*words, "--seed", -1)
    assert (result.code, "Invalid value for '--seed': -1 is not in the range x>=0" in result.err) == (2, True)


def test_plain_onnx_is_refused_with_the_way_out(bridge, converted, tmp_path):
    assert bridge("convert", "torch2onnx", converted, "-o", tmp_path / "p.onnx", "--inline").code == 0
    result = bridge("finetune", tmp_path / "p.onnx", *TUNE, "-o", tmp_path / "t")
    assert result.code == 2
    assert "is a plain ONNX file, not a layered one" in result.err


def test_layered_onnx_can_be_finetuned(bridge, converted, tmp_path):
    assert bridge("convert", "torch2onnx", converted, "-o", tmp_path / "l.onnx").code == 0
    assert bridge("finetune", tmp_path / "l.onnx", *TUNE, "--epochs", 1, "-o", tmp_path / "t").code == 0


def test_data_object_with_targets_missing_is_refused(converted):
    data = Data({"x": np.zeros((4, 784), np.float32)}, None, "mine")
    with pytest.raises(api.BridgeError, match=r"mine: has no targets to train on"):
        finetune(converted, data, validation=None)
