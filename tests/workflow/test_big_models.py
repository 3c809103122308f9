"""Models whose weights don't fit into one protobuf; tests make the limit so small that small models are such."""

import os
import shutil

import numpy as np
import onnx
import pytest

import bridge as api
from bridge import convert, files
from bridge.errors import BridgeError
from bridge.graph import read_proto, stored, write_proto

from .conftest import ARCH, PRETRAINED


@pytest.fixture(autouse=True)
def low_limit(monkeypatch):
    monkeypatch.setattr(stored, "MOST_INSIDE", 1000)
    monkeypatch.setattr(stored, "HUGE", 1000)


@pytest.fixture(scope="module")
def big(bridge, tmp_path_factory):
    """A bridge folder of the pretrained network, its weights in a file of their own."""
    folder = tmp_path_factory.mktemp("big") / "mlp"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "MOST_INSIDE", 1000)
        result = bridge("convert", "keras2torch", PRETRAINED, "--arch", ARCH, "-o", folder)
    assert result.code == 0, result.err
    return folder


def outside(file):
    """The names of the weights that an .onnx file keeps in its data file."""
    tensors = stored.outside(onnx.load(file, load_external_data=False))
    assert {stored.place(tensor)[0] for tensor in tensors} <= {f"{file.name}.data"}
    assert all(stored.place(tensor)[1] % stored.PAGE == 0 for tensor in tensors)
    return [tensor.name for tensor in tensors]


def test_the_data_file_holds_what_one_file_would(big, converted):
    names = {"model.onnx", "model.onnx.data", "model.safetensors", "model.py", "map.json"}
    assert {file.name for file in big.iterdir()} == names
    assert len(outside(big / "model.onnx")) == 3  # a bias of 64 numbers is no more than a shape
    theirs = {t.name: onnx.numpy_helper.to_array(t) for t in read_proto(converted / "model.onnx").graph.initializer}
    mine = onnx.load(big / "model.onnx")
    for tensor in mine.graph.initializer:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), theirs[tensor.name])
    assert (big / "model.safetensors").read_bytes() == (converted / "model.safetensors").read_bytes()


def test_every_way_there_and_home_keeps_every_bit(bridge, big, tmp_path):
    plain, home = tmp_path / "plain.onnx", [tmp_path / name for name in ("a.keras", "a.h5", "a.weights.h5")]
    again = bridge("convert", "torch2onnx", big, "--inline", "-o", plain)
    assert again.code == 0, again.err
    assert "weights" in again.out
    assert len(outside(plain)) == 3
    for file in home:
        result = bridge("convert", "torch2keras", big, "-o", file)
        assert "bit for bit" in result.out, result.err
        arch = {"arch": ARCH} if file.name == "a.weights.h5" else {}
        back = tmp_path / f"{file.name}.onnx"
        convert.keras2onnx(file, back, inline=file.suffix == ".keras", **arch)
        data = files.data_file(back)
        assert data.read_bytes() == (big / "model.onnx.data").read_bytes()
    left = {p.name for p in tmp_path.iterdir()}
    assert not [name for name in left if name.startswith(".")]
    report = bridge("parity", big, plain, home[0], "--rows", 8)
    assert report.code == 0, report.out
    assert "A float64 reference was left out" in " ".join(report.out.split())


@pytest.mark.parametrize("transfer", ["parameters", "features", "structure"])
def test_a_big_model_is_trained_from_either_form(big, converted, tmp_path, transfer, monkeypatch):
    """To the same numbers as the small model that it is."""
    told = {"transfer": transfer, "scale": 255, "epochs": 1, "classes": 10, "seed": 3}
    x = np.random.default_rng(0).random((64, 28, 28))
    data = tmp_path / "d.npz"
    np.savez(data, x=x, y=np.arange(64) % 10)
    tuned = api.finetune(big, data, tmp_path / "a", **told)
    from_file = api.finetune(big / "model.onnx", data, **told)
    monkeypatch.setattr(stored, "MOST_INSIDE", 10**9)
    small = api.finetune(converted, data, tmp_path / "b", **told)
    assert tuned.history.rows == from_file.history.rows == small.history.rows
    assert len(outside(tmp_path / "a" / "model.onnx")) == 3
    assert not (tmp_path / "b" / "model.onnx.data").exists()
    for name in ("model.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (
        api.evaluate(tmp_path / "a", data, scale=255).accuracy == api.evaluate(tmp_path / "b", data, scale=255).accuracy
    )


def test_inspect_looks_at_every_number(bridge, big, tmp_path):
    told = bridge("inspect", big)
    assert "55,050" in told.out
    shutil.copytree(big, tmp_path / "d")
    with (tmp_path / "d" / "model.onnx.data").open("rb+") as file:
        file.write(np.float32("nan").tobytes())
    for path in (tmp_path / "d", tmp_path / "d" / "model.onnx"):
        assert "NaN or infinity in dense/kernel" in bridge("inspect", path).out


def test_a_taken_data_file_is_not_replaced(big, tmp_path):
    (tmp_path / "a.onnx.data").write_text("mine")
    with pytest.raises(BridgeError, match=r"a\.onnx\.data: exists already\. .* --force"):
        api.torch2onnx(big, tmp_path / "a.onnx")
    assert os.listdir(tmp_path) == ["a.onnx.data"]


def test_with_force_the_files_are_replaced_together(big, converted, tmp_path, monkeypatch):
    target = tmp_path / "a.onnx"
    api.torch2onnx(big, target)
    api.torch2onnx(big, target, force=True)
    assert len(os.listdir(tmp_path)) == 2
    monkeypatch.setattr(stored, "MOST_INSIDE", 10**9)
    api.torch2onnx(converted, target, force=True)
    assert os.listdir(tmp_path) == ["a.onnx"]


def test_a_folders_own_file_is_brought_up_to_date(big, tmp_path):
    shutil.copytree(big, tmp_path / "d")
    api.torch2onnx(tmp_path / "d", tmp_path / "d" / "model.onnx", force=True)
    assert (tmp_path / "d" / "model.onnx.data").read_bytes() == (big / "model.onnx.data").read_bytes()


@pytest.mark.parametrize("fails", ["writing", "moving"])
def test_what_fails_leaves_the_old_pair(big, tmp_path, monkeypatch, fails):
    target = tmp_path / "a.onnx"
    api.torch2onnx(big, target)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    proto = read_proto(target)
    proto.graph.name = "another"

    def refuse(*args, **options):
        raise OSError(28, "No space left on device")

    if fails == "writing":
        monkeypatch.setattr(stored, "pieces", refuse)
    else:
        moved = files._move_file
        monkeypatch.setattr(files, "_move_file", lambda a, b, **o: refuse() if b == target else moved(a, b, **o))
    with pytest.raises(BridgeError, match="could not be written: No space left"):
        write_proto(proto, target, force=True, arrays=stored.arrays_of(proto.graph.initializer, target))
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_a_full_disk_is_told_before_anything_is_written(big, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    for call in (api.torch2onnx, api.torch2keras):
        suffix = ".onnx" if call is api.torch2onnx else ".keras"
        with pytest.raises(BridgeError, match=r"0\.0 GB are to be written and its disk has 0\.0 GB left"):
            call(big, tmp_path / f"a{suffix}")
    assert not os.listdir(tmp_path)
