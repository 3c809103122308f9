"""`--rules`: a layer of the user's own stays one node, arrives as their torch module, and goes home bit for bit."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import checker
from parity_files import write_h5

import bridge as api
from bridge.data import Data
from bridge.graph import from_proto, read_proto
from bridge.graph.changes.inner import inner_nodes


def arrays(file):
    """The weights; what else is constant in a loop has names by its conversion."""
    return {path: array.tobytes() for path, array in from_proto(read_proto(file)).arrays.items()}


def given(ruled):
    return ("--custom", ruled / "layers.py", "--rules", ruled / "rules.py")


def test_each_layer_is_one_node_and_one_module_of_the_users(ruled):
    proto = read_proto(ruled / "out" / "model.onnx")
    checker.check_model(proto, full_check=True)
    own = [node.op_type for node in inner_nodes(proto.graph) if node.domain == "keras.own"]
    assert own == ["ScaledDense", "Gate", "ScaledDense", "ScaledDense", "ScaledDense"]
    module = api.load(ruled / "out", rules=ruled / "rules.py")
    assert isinstance(module.scaled, torch.nn.Linear)
    assert isinstance(module.gate.inner, torch.nn.Linear)
    assert type(module.scaled) is type(module.twice) is type(module.repeated.inner)
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {"scaled.weight", "scaled.scale", "scaled.bias", "gate.inner.weight", "repeated.inner.scale"} <= trained
    assert "gate.mean" in dict(module.named_buffers())


def test_model_py_has_copies_of_the_users_classes_and_stands_alone(ruled):
    code = "import sys, torch; sys.path.insert(0, sys.argv[1]); import model\n"
    code += "print(model.load()(torch.linspace(-1, 1, 24).reshape(3, 8))['out'].sum().item())"
    command = [sys.executable, "-I", "-c", code, ruled / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    module = api.load(ruled / "out", rules=ruled / "rules.py")
    with torch.no_grad():
        expected = module(torch.linspace(-1, 1, 24).reshape(3, 8))["out"].sum().item()
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)
    text = (ruled / "out" / "model.py").read_text()
    assert text.count("class ScaledDense") == 1
    assert "def factor(scale: Tensor)" in text


def test_it_trains_as_keras_does_and_goes_home_bit_for_bit(bridge, ruled, tmp_path):
    result = bridge("parity", ruled / "mine.keras", ruled / "out", *given(ruled), "--train-steps", 10)
    assert result.code == 0, result.out + result.err
    result = bridge("convert", "torch2keras", ruled / "out", *given(ruled), "-o", tmp_path / "home.keras")
    assert result.code == 0, result.err
    result = bridge("parity", ruled / "mine.keras", tmp_path / "home.keras", ruled / "out", *given(ruled))
    assert result.code == 0, result.out + result.err
    result = bridge("convert", "keras2onnx", tmp_path / "home.keras", *given(ruled), "-o", tmp_path / "home.onnx")
    assert result.code == 0, result.err
    assert arrays(tmp_path / "home.onnx") == arrays(ruled / "out" / "model.onnx")


def test_every_command_that_runs_torch_asks_for_the_rules(bridge, ruled, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((9, 8), np.float32), y_out=np.ones((9, 3)), y_side=np.ones((9, 16)))
    for words in (
        ("finetune", ruled / "out", "--data", tmp_path / "d.npz", "-o", tmp_path / "t"),
        ("convert", "torch2onnx", ruled / "out", "-o", tmp_path / "t.onnx"),
        ("convert", "torch2keras", ruled / "out", "--custom", ruled / "layers.py", "-o", tmp_path / "t.keras"),
    ):
        result = bridge(*words)
        assert result.code == 2, words
        assert "scaled (demo>ScaledDense): it is a layer of your own" in result.err
        assert "gate (Custom>Gate)" in result.err, "all of them at once"
        assert "--rules FILE.py" in result.err
    assert [file.name for file in tmp_path.iterdir()] == ["d.npz"]
    result = bridge("inspect", ruled / "out")
    assert "demo>ScaledDense" in result.out
    assert "needs your rules for ScaledDense, Gate: --rules FILE.py" in result.out
    assert bridge("eval", ruled / "out", "--data", tmp_path / "d.npz").code == 0, "the bodies are in the file"


def test_a_folder_is_fine_tuned_with_them(ruled, tmp_path):
    random = np.random.default_rng(1)
    targets = {"out": random.normal(size=(32, 3)), "side": random.normal(size=(32, 16))}
    data = Data({"x": random.normal(size=(32, 8)).astype(np.float32)}, targets, "made")
    done = api.finetune(ruled / "out", data, tmp_path / "t", epochs=1, validation=None, rules=ruled / "rules.py")
    api.save(done.module, tmp_path / "saved")  # the module remembers its rules
    again = api.finetune(done.module, data, epochs=1, validation=None)
    assert isinstance(again.module.scaled, torch.nn.Linear)


def test_readmes_example_runs(bridge, tmp_path, monkeypatch):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    for name in ("layers.py", "rules.py"):
        Path(name).write_text(re.search(rf"```python\n(# {name}\n.*?)```", readme, re.DOTALL)[1])
    write_h5("w.h5", {"scaled": {"kernel": (8, 16), "scale": (16,)}, "head": {"kernel": (16, 3), "bias": (3,)}})
    np.savez("mine.npz", x=np.random.default_rng(0).random((99, 8)), y=np.random.default_rng(1).random((99, 3)))
    # what the line with python -c does in README
    assert bridge("convert", "keras2torch", "w.h5", "--arch", "layers.py:build", "-o", "first").code == 0
    assert bridge("convert", "torch2keras", "first", "--custom", "layers.py", "-o", "mine.keras").code == 0
    for line in re.search(r"```sh\n(bridge convert keras2torch mine.*?)```", readme, re.DOTALL)[1].splitlines():
        result = bridge(*line.split()[1:])
        assert result.code == 0, (line, result.err)


def test_the_decorators_leave_a_function_as_it_is_where_no_rules_are_read():
    assert api.body("Any")(len) is len
    with pytest.raises(api.BridgeError, match="expected the name of a layer class"):
        api.rule(len)
