"""SavedModels in torch and home again: trained there, written into the same program, read by TensorFlow."""

import base64
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from trained_modules import trained

import bridge
from bridge.convert import keras2torch, torch2keras
from bridge.errors import BridgeError
from bridge.folder import read_graph
from bridge.graph.looked_up import counted
from bridge.graph.probe import probe_inputs
from bridge.parity import compare_gradients
from bridge.parity.compare import compare
from bridge.torch_side.run import run

SAVED = Path(__file__).with_name("saved_models")


@pytest.fixture(scope="module")
def converted(saved, tmp_path_factory):
    """name -> (SavedModel folder, bridge folder), each made once."""
    cache = {}

    def one(name):
        if name not in cache:
            folder = SAVED / name if (SAVED / name).is_dir() else saved(name)[0]
            out = tmp_path_factory.mktemp(name) / "out"
            keras2torch(folder, out)
            cache[name] = folder, out
        return cache[name]

    return one


@pytest.mark.parametrize("name", ["cnn", "subclassed", "exported", "mobile", "module", "of_tensorflow_1"])
def test_outputs_and_gradients_are_tensorflows_own(converted, name):
    folder, out = converted(name)
    report = compare([folder, out], rows=1)  # the conversion was proved on five
    assert report.ok, report
    # a float32 epsilon of the program is written in torch by its shortest decimal: seen are 3e-10
    assert compare_gradients([folder, out], double=True, rtol=1e-9).ok


def test_layers_of_keras_2_are_alive_in_torch(converted):
    _, out = converted("cnn")
    module = bridge.load(out).train()
    before = module.batch_normalization.running_mean.clone()
    module(torch.rand(4, 8, 8, 2))
    assert isinstance(module.conv2d, torch.nn.Conv2d)
    assert not torch.equal(module.batch_normalization.running_mean, before)


@pytest.mark.parametrize("name", ["mlp", "cnn_2_4", "cudnn", "exported", "module", "of_tensorflow_1"])
def test_weights_come_home_into_the_same_program(keras, converted, tmp_path, name):
    folder, out = converted(name)
    torch2keras(out, tmp_path / "same")
    before, after = keras("tensors", path=folder), keras("tensors", path=tmp_path / "same")
    assert before == after  # bit for bit, an optimizer's variables and counters too
    module = trained(out)
    bridge.save(module, tmp_path / "new")
    torch2keras(tmp_path / "new", tmp_path / "home")
    after = keras("tensors", path=tmp_path / "home")
    assert after.keys() == before.keys()
    assert after != before
    assert {p.relative_to(folder) for p in Path(folder).rglob("*.pb")} == {
        p.relative_to(tmp_path / "home") for p in (tmp_path / "home").rglob("*.pb")
    }
    graph = read_graph(tmp_path / "new")
    inputs = probe_inputs(graph.inputs, below=counted(graph))
    expected = run(module.eval(), inputs)
    if name in ("cnn_2_4", "cudnn"):  # saved without a signature: only bridge and Keras 2 know how to call it
        assert compare([tmp_path / "home", tmp_path / "new"], rows=5).ok
        return
    arrays = {key: value.tolist() for key, value in inputs.items()}
    found = keras("served", path=tmp_path / "home", arrays=arrays, dtypes={k: str(v.dtype) for k, v in inputs.items()})
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-5)


def test_a_model_of_keras_2_goes_home_as_keras_file_too(keras, converted, tmp_path):
    _, out = converted("mlp")
    torch2keras(out, tmp_path / "a.keras")
    assert len(keras("keras_reads", path=tmp_path / "a.keras")) == 4
    _, out = converted("subclassed")
    with pytest.raises(BridgeError, match="no config, so only code can rebuild it"):
        torch2keras(out, tmp_path / "b.keras")


def test_what_did_not_come_from_a_saved_model_is_not_written_as_one(converted, tmp_path):
    _, out = converted("mlp")
    torch2keras(out, tmp_path / "a.keras")
    keras2torch(tmp_path / "a.keras", tmp_path / "other")
    with pytest.raises(BridgeError, match="which is written only of what came from one"):
        torch2keras(tmp_path / "other", tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_no_other_weights_go_into_a_program_that_stays_as_it_is(converted, tmp_path):
    _, out = converted("mlp")
    data = tmp_path / "data.npz"
    np.savez(data, x=np.ones((8, 6), "float32"), y=np.zeros(8, "int64"))
    bridge.finetune(out, data, tmp_path / "tuned", classes=7, epochs=1, validation=None)
    with pytest.raises(BridgeError, match=r"out/kernel: is \(5, 7\) in the converted model, its SavedModel's program"):
        torch2keras(tmp_path / "tuned", tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def repacked(out, folder, files, **facts):
    """A copy of a bridge folder in which what is kept of the SavedModel says something else."""
    shutil.copytree(out, folder)
    proto = onnx.load(out / "model.onnx")
    entry = next(entry for entry in proto.metadata_props if entry.key == "bridge.saved_model")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(entry.value))) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if files is not None}
        content["bridge.json"] = json.dumps(json.loads(archive.read("bridge.json")) | facts)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in {**content, **(files or {})}.items():
            archive.writestr(name, text)
    entry.value = base64.b64encode(data.getvalue()).decode()
    onnx.save(proto, folder / "model.onnx")
    return folder


def test_variables_in_several_data_files_are_the_same(keras, converted, tmp_path):
    folder, _ = converted("mlp")
    files = keras("saved_in_parts", path=folder, to=tmp_path / "home")
    assert "variables.index" in files
    assert len(files) > 4
    assert not [name for name in files if not name.startswith(("variables.index", "variables.data-"))]
    assert keras("tensors", path=tmp_path / "home") == keras("tensors", path=folder)


def test_a_saved_model_too_large_to_be_kept_is_named_for_the_way_home(keras, converted, tmp_path):
    folder, out = converted("module")
    large = repacked(out, tmp_path / "out", None, whole=False)
    with pytest.raises(
        BridgeError, match=r"too large to be kept in the converted model.\nPass the folder .*--arch SAVED"
    ):
        torch2keras(large, tmp_path / "home")
    torch2keras(large, tmp_path / "home", arch=str(folder))
    assert keras("tensors", path=tmp_path / "home") == keras("tensors", path=folder)
    with pytest.raises(BridgeError, match=r"is not the SavedModel that .* was converted from"):
        torch2keras(large, tmp_path / "other", arch=str(SAVED / "mlp"))


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "assets/../../evil", "variables/variables.index", "evil"])
def test_what_is_kept_of_a_saved_model_writes_no_file_elsewhere(converted, tmp_path, name):
    changed = repacked(converted("mlp")[1], tmp_path / "out", {name: b"x"})
    with pytest.raises(BridgeError, match=r"is damaged \(it holds a file of another place\)"):
        torch2keras(changed, tmp_path / "home")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
