"""The user's own torch class: mapped onto, trained by hand, and home again."""

import json
import runpy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bridge.folder import read_graph

from .conftest import ARCH, PRETRAINED

MINE = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 10)
    def forward(self, x):
        return self.out(self.fc2(self.fc1(x.flatten(1)).relu()).relu())
"""


@pytest.fixture
def own(bridge, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    spec = f"{tmp_path / 'mine.py'}:Net"
    result = bridge("convert", "keras2torch", PRETRAINED, "--arch", ARCH, "--into", spec, "-o", tmp_path / "own")
    assert result.code == 0, result.err
    assert "Your module returns logits" in result.out
    return tmp_path


def test_weights_land_in_the_users_class(own):
    assert {p.name for p in (own / "own").iterdir()} == {"model.onnx", "model.safetensors", "map.json"}
    net = runpy.run_path(str(own / "mine.py"))["Net"]()
    net.load_state_dict(load_file(own / "own" / "model.safetensors"))
    kernel = read_graph(own / "own").arrays["dense_1/kernel"]
    np.testing.assert_array_equal(net.fc2.weight.detach().numpy(), kernel.T)


def test_trained_by_hand_the_weights_go_home(bridge, own):
    file = own / "own" / "model.safetensors"
    state = load_file(file)
    state["fc1.weight"] = state["fc1.weight"] * 2
    save_file(state, file)
    assert bridge("convert", "torch2keras", own / "own", "-o", own / "h.keras").code == 0
    assert bridge("convert", "torch2onnx", own / "own", "-o", own / "h.onnx").code == 0
    assert bridge("convert", "keras2torch", own / "h.keras", "-o", own / "again").code == 0
    expected = state["fc1.weight"].numpy().T
    np.testing.assert_array_equal(read_graph(own / "again").arrays["dense/kernel"], expected)
    np.testing.assert_array_equal(read_graph(own / "h.onnx").arrays["dense/kernel"], expected)


def test_finetune_says_that_it_does_not_run_the_users_class_from_a_file(bridge, own):
    result = bridge("finetune", own / "own", "--data", "digits", "-o", own / "t")
    assert result.code == 2
    assert "which no file makes bridge run" in result.err
    onnx = own / "own" / "model.onnx"
    result = bridge("finetune", onnx, "--data", "digits", "--scale", 255, "--epochs", 1, "-o", own / "t")
    assert result.code == 0, result.err


def test_a_tensor_of_another_shape_is_refused(bridge, own):
    file = own / "own" / "model.safetensors"
    state = load_file(file)
    state["out.weight"] = torch.zeros(3, 64)
    save_file(state, file)
    result = bridge("convert", "torch2keras", own / "own", "-o", own / "h.keras")
    assert result.code == 2
    assert "out.weight is (3, 64), dense_2/kernel wants (10, 64)" in result.err


@pytest.mark.parametrize("damage", ["[]", "{", '{"into": "x", "weights": [{"keras": "dense/kernel", "torch": 3}]}'])
def test_a_damaged_map_is_refused(bridge, own, damage):
    (own / "own" / "map.json").write_text(damage)
    result = bridge("convert", "torch2keras", own / "own", "-o", own / "h.keras")
    assert result.code == 2
    assert "map.json" in result.err
    assert "Convert again" in result.err


MAPS = {
    "no rows": (lambda m: m.update(weights=[]), "does not say where dense/kernel, dense/bias, dense_1/kernel, "),
    "no list": (lambda m: m.update(weights="x"), "is not a weight map that bridge wrote"),
    "a row less": (lambda m: m["weights"].pop(2), "does not say where dense_1/kernel went"),
    "a row twice": (lambda m: m["weights"].append(m["weights"][0]), "dense/kernel is in it twice"),
    "no such weight": (lambda m: m["weights"][0].update(keras="no"), "no is in it and is no weight of model.onnx"),
    "no such axes": (
        lambda m: m["weights"][0].update(move="permute (7, 9)"),
        "dense/kernel has the move 'permute (7, 9)', which does not fit its shape (784, 64)",
    ),
    "too many axes": (lambda m: m["weights"][1].update(move="transpose"), "dense/bias has the move 'transpose'"),
}


@pytest.mark.parametrize("case", MAPS)
def test_a_map_that_does_not_place_every_weight_is_refused(bridge, own, case):
    """Or the weights of before the training would be written, in silence."""
    damage, message = MAPS[case]
    file = own / "own" / "map.json"
    found = json.loads(file.read_text())
    damage(found)
    file.write_text(json.dumps(found))
    for command, name in (("torch2keras", "h.keras"), ("torch2onnx", "h.onnx")):
        result = bridge("convert", command, own / "own", "-o", own / name)
        assert result.code == 2
        assert message in result.err, result.err
        assert not (own / name).exists()


def test_parity_compares_the_model_onnx_alone_and_says_so(bridge, own):
    result = bridge("parity", PRETRAINED, own / "own", "--arch", ARCH)
    assert result.code == 0, result.err
    assert "B: compared by its model.onnx alone: its torch weights are in a module of your own" in result.out
    file = own / "own" / "model.safetensors"
    state = load_file(file)
    save_file(state | {"fc1.bias": state["fc1.bias"] + 1}, file)
    result = bridge("parity", PRETRAINED, own / "own", "--arch", ARCH)
    assert (result.code, "has changed since model.onnx was written" in result.err) == (2, True)
    result = bridge("parity", PRETRAINED, own / "own", "--arch", ARCH, "--train-steps", 2)
    assert (result.code, "which no file makes bridge run" in result.err) == (2, True)


def test_an_unknown_move_is_refused(bridge, own):
    file = own / "own" / "map.json"
    found = json.loads(file.read_text())
    found["weights"][0]["move"] = "__import__('os')"
    file.write_text(json.dumps(found))
    result = bridge("convert", "torch2keras", own / "own", "-o", own / "h.keras")
    assert result.code == 2
    assert "unknown move" in result.err
