"""Converting the pretrained network: to torch, to ONNX, home again, and what is refused on the way."""

import importlib.util
import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file, save_file

import bridge as api
from bridge.folder import read_graph
from bridge.graph import from_proto, inlined, read_proto

from .conftest import ARCH, MODELS, PRETRAINED


def keras_weights():
    with h5py.File(PRETRAINED) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {"/".join(name.split("/")[-2:]).removesuffix(":0"): array for name, array in found.items()}


def test_folder_holds_graph_weights_source_and_map(converted):
    assert {p.name for p in converted.iterdir()} == {"model.onnx", "model.safetensors", "model.py", "map.json"}
    rows = json.loads((converted / "map.json").read_text())["weights"]
    assert [(r["keras"], r["torch"], r["move"]) for r in rows[:2]] == [
        ("dense/kernel", "dense.weight", "transpose"),
        ("dense/bias", "dense.bias", "identity"),
    ]
    assert len({r["keras"] for r in rows}) == len({r["torch"] for r in rows}) == 6


def test_torch_has_every_weight_of_the_file_as_a_parameter(converted):
    state, held = load_file(converted / "model.safetensors"), keras_weights()
    module = api.load(converted)
    assert sum(p.numel() for p in module.parameters() if p.requires_grad) == 55_050
    for row in json.loads((converted / "map.json").read_text())["weights"]:
        expected = held[row["keras"]].T if row["move"] == "transpose" else held[row["keras"]]
        np.testing.assert_array_equal(state[row["torch"]].numpy(), expected)


def test_every_way_to_name_the_architecture_gives_the_same_network(bridge, converted, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(read_graph(converted).keras_config)
    ways = {"mlp": ["--mlp", "784-64:relu-64:relu-10:softmax"], "json": ["--arch", config]}
    expected = (converted / "model.safetensors").read_bytes()
    for name, way in ways.items():
        result = bridge("convert", "keras2torch", PRETRAINED, *way, "-o", tmp_path / name)
        assert result.code == 0, result.err
        assert (
            load_file(tmp_path / name / "model.safetensors").keys() == load_file(converted / "model.safetensors").keys()
        )
        assert (tmp_path / name / "model.safetensors").read_bytes() == expected


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "weights_only.h5"])
def test_weights_come_home_bit_for_bit_in_every_format(bridge, converted, tmp_path, name):
    file, again = tmp_path / name, tmp_path / "again"
    options = ["--weights-only"] if name.startswith("weights_only") else []
    assert bridge("convert", "torch2keras", converted, "-o", file, *options).code == 0
    arch = ["--arch", ARCH] if "weights" in name else []
    assert bridge("convert", "keras2torch", file, *arch, "-o", again).code == 0
    there, here = read_graph(converted).arrays, read_graph(again).arrays
    assert there.keys() == here.keys()
    for path in there:
        np.testing.assert_array_equal(there[path].view(np.uint32), here[path].view(np.uint32))


def test_exported_file_is_valid_and_its_inlined_form_runs_everywhere(bridge, converted, tmp_path):
    layered, plain = tmp_path / "layered.onnx", tmp_path / "plain.onnx"
    assert bridge("convert", "torch2onnx", converted, "-o", layered).code == 0
    result = bridge("convert", "torch2onnx", converted, "-o", plain, "--inline")
    assert result.code == 0
    assert f"plain ONNX, {len(onnx.load(plain).graph.node)} nodes, 6 weights." in result.out.replace("\n", " ")
    x = np.random.default_rng(0).random((3, 784), dtype=np.float32)
    module = api.load(converted)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    for file in (layered, plain):
        proto = onnx.load(file)
        onnx.checker.check_model(proto, full_check=True)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x})[0], expected, atol=1e-6)
    proto = onnx.load(plain)
    assert not proto.functions
    assert {opset.domain for opset in proto.opset_import} == {""}
    np.testing.assert_allclose(
        ReferenceEvaluator(proto).run(None, {proto.graph.input[0].name: x})[0], expected, atol=1e-6
    )
    assert [n.op_type for n in onnx.load(layered).graph.node][:2] == ["Dense", "Activation"]
    assert inlined(read_proto(layered)).graph.node[0].op_type == "MatMul"


def test_keras2onnx_writes_what_keras2torch_holds(bridge, converted, tmp_path):
    file = tmp_path / "m.onnx"
    assert bridge("convert", "keras2onnx", PRETRAINED, "--arch", ARCH, "-o", file).code == 0
    ours, theirs = from_proto(read_proto(file)), read_graph(converted)
    assert [n.name for n in ours.nodes] == [n.name for n in theirs.nodes]
    for path, array in theirs.arrays.items():
        np.testing.assert_array_equal(ours.arrays[path], array)


def test_weights_trained_elsewhere_reach_onnx_and_keras(bridge, converted, tmp_path):
    """The folder's safetensors are the truth: a user may train by a loop of their own and save them there."""
    folder = tmp_path / "mine"
    module = api.load(converted)
    api.save(module, folder)
    state = load_file(folder / "model.safetensors")
    state["dense.weight"] = state["dense.weight"] + 1
    save_file(state, folder / "model.safetensors")
    stale = bridge("eval", folder, "--data", "digits", "--scale", 255)
    assert stale.code == 2
    assert "has changed since model.onnx was written" in stale.err
    assert bridge("convert", "torch2onnx", folder, "-o", folder / "model.onnx", "--force").code == 0
    assert bridge("eval", folder, "--data", "digits", "--scale", 255).code == 0
    np.testing.assert_array_equal(read_graph(folder).arrays["dense/kernel"], state["dense.weight"].numpy().T)


def test_source_is_what_runs(converted):
    """model.py alone, with torch and safetensors, gives the outputs of the module that bridge loads."""
    x = torch.rand(4, 784, generator=torch.Generator().manual_seed(0))
    code = (
        "import runpy, sys, torch; sys.modules['bridge'] = None; "
        f"m = runpy.run_path({str(converted / 'model.py')!r})['load'](); "
        "x = torch.rand(4, 784, generator=torch.Generator().manual_seed(0)); "
        "print(m(x).detach().double().flatten().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    with torch.no_grad():
        assert json.loads(done.stdout) == api.load(converted)(x).double().flatten().tolist()


def test_python_interface_gives_a_trainable_module():
    module = api.keras2torch(PRETRAINED, mlp="784-64:relu-64:relu-10:softmax")
    assert module.training
    module(torch.rand(2, 784)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    assert list(module.state_dict())[:2] == ["dense.weight", "dense.bias"]


REFUSED = {
    "no architecture": (
        ["convert", "keras2torch", PRETRAINED, "-o", "{tmp}/o"],
        r"holds weights alone.*\n.*--mlp 784-64:.*--arch",
    ),
    "wrong architecture": (
        ["convert", "keras2torch", PRETRAINED, "--mlp", "784-64:relu-32:relu-10:softmax", "-o", "{tmp}/o"],
        r"dense_1 \(Dense\): kernel is \(64, 64\) in pretrained_model.h5, --mlp wants \(64, 32\)",
    ),
    "missing file": (["convert", "keras2torch", "{tmp}/no.h5", "-o", "{tmp}/o"], r"no\.h5: no such file"),
    "output exists": (["convert", "keras2torch", PRETRAINED, "--arch", ARCH, "-o", "{converted}"], "pass --force"),
    "output without a name": (["convert", "keras2torch", PRETRAINED, "-o", ".", "--force"], "names no file or folder"),
    "output's parent": (["convert", "keras2torch", PRETRAINED, "-o", "{tmp}/a/b"], "a does not exist"),
    "onnx suffix": (["convert", "keras2onnx", PRETRAINED, "-o", "{tmp}/o.txt"], "ends in .onnx"),
    "keras suffix": (["convert", "torch2keras", "{converted}", "-o", "{tmp}/o.txt"], "ends in .keras, .h5"),
    "capital letters": (
        ["convert", "torch2keras", "{converted}", "-o", "{tmp}/O.H5"],
        r"/O\.H5: Keras knows its files by endings in small letters\. Write o\.h5",
    ),
    "weights only": (
        ["convert", "torch2keras", "{converted}", "--weights-only", "-o", "{tmp}/o.keras"],
        r"/o\.keras: --weights-only is for names that end in \.h5",
    ),
    "not a folder": (["convert", "torch2onnx", "{tmp}", "-o", "{tmp}/o.onnx"], "is not a bridge folder"),
    "map without into": (
        ["convert", "keras2torch", PRETRAINED, "--map", "m.json", "-o", "{tmp}/o"],
        "pass --into FILE.py:Class too",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_get_one_message_and_leave_nothing(bridge, converted, tmp_path, case):
    words, expected = REFUSED[case]
    result = bridge(*(str(w).format(tmp=tmp_path, converted=converted) for w in words))
    assert result.code == 2
    assert len(result.err.splitlines()) <= 3
    import re

    assert re.search(expected, result.err), result.err
    assert not list(tmp_path.iterdir())


def test_force_replaces_a_bridge_folder_and_nothing_else(bridge, converted, tmp_path):
    words = ["convert", "keras2torch", PRETRAINED, "--arch", ARCH]
    api.save(api.load(converted), tmp_path / "old")
    (tmp_path / "old" / "notes.txt").write_text("mine")
    assert bridge(*words, "-o", tmp_path / "old", "--force").code == 0
    assert (tmp_path / "old" / "notes.txt").read_text() == "mine"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("meow")
    result = bridge(*words, "-o", tmp_path / "photos", "--force")
    assert result.code == 2
    assert "is not a folder that bridge wrote" in result.err
    assert (tmp_path / "photos" / "cat.txt").read_text() == "meow"


def test_force_takes_the_old_network_away_whole(bridge, converted, tmp_path):
    words = ["convert", "keras2torch", PRETRAINED, "--arch", ARCH, "--force", "-o", tmp_path / "old"]
    api.save(api.load(converted), tmp_path / "old")
    for name in ("history.csv", "checkpoint.safetensors"):
        (tmp_path / "old" / name).write_text("of another run")
    assert bridge(*words).code == 0
    assert {p.name for p in (tmp_path / "old").iterdir()} == {p.name for p in converted.iterdir()}


def test_an_output_beside_the_code_of_the_architecture_is_no_danger_to_it(bridge, tmp_path):
    code = tmp_path / "mnist_mlp.py"
    code.write_text((MODELS / "mnist_mlp.py").read_text())
    words = ["convert", "keras2torch", PRETRAINED, "--arch", f"{code}:build", "-o"]
    result = bridge(*words, tmp_path / "mnist_mlp")
    assert result.code == 0, result.err
    result = bridge(*words, code, "--force")
    assert (result.code, "would replace the input" in result.err) == (2, True)


@pytest.mark.parametrize("command", ["torch2keras", "keras2onnx"])
def test_the_code_of_the_architecture_is_never_an_output(bridge, converted, tmp_path, command):
    name = "code.h5" if command == "torch2keras" else "code.onnx"
    (tmp_path / name).write_text("def build(): ...")
    model = converted if command == "torch2keras" else PRETRAINED
    result = bridge("convert", command, model, "--arch", f"{tmp_path / name}:build", "-o", tmp_path / name, "--force")
    assert (result.code, "would replace the input" in result.err) == (2, True)
    assert (tmp_path / name).read_text() == "def build(): ..."


def test_a_plain_file_never_replaces_the_folders_layered_one(bridge, converted):
    before = (converted / "model.onnx").read_bytes()
    result = bridge("convert", "torch2onnx", converted, "-o", converted / "model.onnx", "--inline", "--force")
    assert (result.code, "would replace the input" in result.err) == (2, True)
    assert (converted / "model.onnx").read_bytes() == before


def test_input_is_never_an_output(bridge, tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "w.h5").write_bytes(PRETRAINED.read_bytes())
    result = bridge("convert", "keras2torch", inputs / "w.h5", "--arch", ARCH, "-o", inputs, "--force")
    assert result.code == 2
    assert (inputs / "w.h5").read_bytes() == PRETRAINED.read_bytes()


def datasets(opened):
    """The names of all datasets of an HDF5 file."""
    names = []
    opened.visititems(lambda n, item: names.append(n) if isinstance(item, h5py.Dataset) else None)
    return names


def test_weights_with_nan_are_named_and_not_converted(bridge, tmp_path):
    file = tmp_path / "nan.h5"
    file.write_bytes(PRETRAINED.read_bytes())
    with h5py.File(file, "r+") as opened:
        kernel = next(n for n in datasets(opened) if "dense_1" in n and "kernel" in n)
        opened[kernel][0, 0] = np.nan
    result = bridge("convert", "keras2torch", file, "--arch", ARCH, "-o", tmp_path / "o")
    assert result.code == 1
    assert "NaN or infinity in its weights (dense_1/kernel" in result.err
    assert not (tmp_path / "o").exists()


def test_torch_weights_with_nan_are_named_and_not_written(bridge, converted, tmp_path):
    folder = tmp_path / "nan"
    shutil.copytree(converted, folder)
    state = load_file(folder / "model.safetensors")
    state["dense_1.bias"][3] = float("nan")
    save_file(state, folder / "model.safetensors")
    for command, name in (("torch2onnx", "o.onnx"), ("torch2keras", "o.keras")):
        result = bridge("convert", command, folder, "-o", tmp_path / name)
        assert result.code == 1
        assert "NaN or infinity in its weights (dense_1/bias: 1 NaN, 0 infinite of 64)" in result.err
    module = api.load(converted)
    module.dense_1.bias.data[3] = float("inf")
    with pytest.raises(api.CheckFailed, match=r"MnistMlp: NaN or infinity in its weights \(dense_1/bias: 0 NaN"):
        api.save(module, tmp_path / "saved")
    assert {p.name for p in tmp_path.iterdir()} == {"nan"}


def test_keras_overflowing_is_not_called_a_fault_of_bridge(bridge, tmp_path):
    file = tmp_path / "large.h5"
    file.write_bytes(PRETRAINED.read_bytes())
    with h5py.File(file, "r+") as opened:
        for name in datasets(opened):
            opened[name][...] = 3e38
    result = bridge("convert", "keras2torch", file, "--arch", ARCH, "-o", tmp_path / "o")
    assert result.code == 1
    assert "Keras itself gives NaN or infinity on random inputs" in result.err
    assert not (tmp_path / "o").exists()


def insert(module):
    module.dense_1 = torch.nn.Sequential(module.dense_1, torch.nn.ReLU())


CHANGED = {
    "half precision": (
        lambda m: m.half(),
        r"dense.weight is \(64, 784\) float16; .* float32, .*\nCall module.float\(\)",
    ),
    "another head": (
        lambda m: setattr(m, "dense_2", torch.nn.Linear(64, 3)),
        r"dense_2.weight is \(3, 64\) float32; bridge built it as \(10, 64\).*\nFor another head: bridge.finetune",
    ),
    "a layer more": (
        lambda m: setattr(m, "more", torch.nn.Linear(2, 2)),
        r"no longer the module that bridge built: it has besides more.weight, more.bias, and lacks none\.",
    ),
    "a layer wrapped": (insert, r"it has besides dense_1.0.weight, dense_1.0.bias, and lacks dense_1.weight"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_module_that_was_changed_is_refused_and_not_half_written(converted, tmp_path, case):
    change, message = CHANGED[case]
    module = api.load(converted)
    change(module)
    with pytest.raises(api.BridgeError, match=message):
        api.save(module, tmp_path / "o")
    with pytest.raises(api.BridgeError, match=message):
        api.finetune(module, "digits", epochs=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["torch2onnx", "torch2keras"])
def test_what_torch_is_needed_for_says_so_where_it_is_missing(bridge, converted, tmp_path, monkeypatch, command):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "safetensors" else find(name))
    result = bridge("convert", command, converted, "-o", tmp_path / ("o.onnx" if "onnx" in command else "o.keras"))
    assert result.code == 2
    assert "Reading torch weights needs the package safetensors, which is not installed" in result.err


def test_the_models_folder_ships_code_and_weights_that_fit():
    assert (MODELS / "mnist_mlp.py").is_file()
    assert {a.shape for a in keras_weights().values()} >= {(784, 64), (64, 64), (64, 10)}
