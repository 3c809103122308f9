"""Checkpoints of TensorFlow's, NAME.index and NAME.data-...: what is read from them, what is refused, and home."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from trained_modules import trained

import bridge
from bridge.convert import keras2torch, torch2keras
from bridge.errors import BridgeError
from bridge.inspection import inspect
from bridge.keras_side.checkpoints.files import find

SAVED = Path(__file__).with_name("checkpoints")
MODELS = f"{Path(__file__).with_name('checkpoint_models.py')}"
NEWEST = "Of the 2 checkpoints in attributes the newest was read: ckpt-2."
OTHER = "Of the checkpoint 'generator' was read; left out is discriminator."
# a path, the model that it is of, and what is told of it
FILES = [
    ("numbered/w.tf", "numbered", []),
    ("attributes", "attributes", [NEWEST]),
    ("named/model.ckpt-7", "named", []),
    ("several/gan", "stack", [OTHER]),
]


def held(name):
    with np.load(SAVED / f"{name.split('/')[0]}.npz") as file:
        return file["x"], file["y"]


@pytest.mark.parametrize(("path", "model", "notes"), FILES)
def test_every_weight_is_where_tf_keras_has_it(keras, path, model, notes):
    x, y = held(path)
    found = keras("checkpoint_run", path=SAVED / path, arch=f"{MODELS}:{model}", x=x.tolist())
    np.testing.assert_allclose(found["outputs"], y, rtol=1e-5, atol=1e-6)
    assert found["notes"] == notes
    assert found["places"] == found["weights"]


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("numbered", "numbered/w.tf"),
        ("numbered/w.tf.index", "numbered/w.tf"),
        ("attributes/ckpt-1.data-00000-of-00001", "attributes/ckpt-1"),
        ("attributes/checkpoint", "attributes/ckpt-2"),
        ("numbered/w", None),
        ("numbered.npz", None),
        (".", None),
    ],
)
def test_any_of_its_files_or_their_folder_means_a_checkpoint(path, prefix):
    found = find(SAVED / path)
    assert (found and found.prefix) == (prefix and SAVED / prefix)


def test_layers_alike_are_told_by_their_names_and_their_order(keras, refusal, tmp_path):
    job = {"prefix": tmp_path / "w", "given": ["up", "down"], "wanted": ["down", "up"]}
    assert keras("checkpoint_as", **job) == {"down": "down", "up": "up"}
    job |= {"given": ["dense_5", "dense_4"], "wanted": ["dense", "dense_1"]}
    refusal(r"w: by its order of layers dense is 'dense_5' there, by their names 'dense_4'", "checkpoint_as", **job)
    assert "LAYER,  # layer_2: a layer without weights" in keras("describe", path=tmp_path / "w")["skeleton"]


def only_training_went(before, after):
    """Whether every tensor is as before, but for an optimizer's, which are gone, and the list of objects."""
    gone = before.keys() - after.keys()
    apart = {key: value for key, value in after.items() if key != "_CHECKPOINTABLE_OBJECT_GRAPH"}
    words = ("optimizer", "Adam", "tracker", "beta1_power", "beta2_power", "global_step")
    trains = all(any(word in key for word in words) for key in gone)
    return gone and trains and apart == {key: before[key] for key in apart}


def test_weights_come_home_into_a_checkpoint_without_the_optimizer(keras, tmp_path):
    arch = f"{MODELS}:attributes"
    keras2torch(SAVED / "attributes", tmp_path / "out", arch=arch)
    torch2keras(tmp_path / "out", tmp_path / "same")
    before, after = (keras("tensors", path=path) for path in (SAVED / "attributes/ckpt-2", tmp_path / "same"))
    assert only_training_went(before, after)
    module = trained(tmp_path / "out")
    bridge.save(module, tmp_path / "new")
    torch2keras(tmp_path / "new", tmp_path / "home.index")
    assert {file.name for file in tmp_path.glob("*home*")} == {"home.index", "home.data-00000-of-00001"}
    x, _ = held("attributes")
    found = keras("checkpoint_run", path=tmp_path / "home", arch=arch, x=x.tolist())
    expected = module.eval()(torch.tensor(x)).detach()
    np.testing.assert_allclose(found["outputs"], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(BridgeError, match=r"home.index: exists already"):
        torch2keras(tmp_path / "out", tmp_path / "home")
    torch2keras(tmp_path / "out", tmp_path / "home", force=True)
    assert keras("tensors", path=tmp_path / "home") == after
    assert "To a name without an ending it writes a checkpoint" in inspect(tmp_path / "out").convert[1]


def test_variables_by_name_alone_come_home_too(keras, tmp_path):
    path = SAVED / "named/model.ckpt-7"
    keras("checkpoint_home", path=path, arch=f"{MODELS}:named", to=tmp_path / "home")
    before, after = (keras("tensors", path=path) for path in (path, tmp_path / "home"))
    assert only_training_went(before, after)


def test_what_a_checkpoint_holds_is_told_without_building_it(keras):
    found = keras("describe", path=SAVED / "several/gan")
    assert [layer["name"] for layer in found["layers"]] == ["discriminator", "generator"]
    found = keras("describe", path=SAVED / "named")
    assert found["format"] == "checkpoint of TensorFlow's, variables by name alone"
    assert found["training_config"]
    assert "layers.LSTM(2, return_sequences=RETURN_SEQUENCES, name=" in found["skeleton"]
    found = keras("describe", path=SAVED / "attributes")
    assert found["facts"] == {"read": NEWEST}
    assert found["mlp"] is None


def copy(tmp_path, name="several", stem="gan"):
    shutil.copytree(SAVED / name, tmp_path / "copy")
    return tmp_path / "copy" / stem


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda p: p.with_name("gan.index").unlink(), r"has no gan.index, so its weights can't be read. Get all files"),
        (
            lambda p: p.with_name("gan.data-00001-of-00003").unlink(),
            r"\(gan.data-...\) are not complete. Get all files",
        ),
        (lambda p: p.with_name("gan.data-00001-of-00003").write_bytes(b""), r"reaches beyond the end of its file"),
        (lambda p: p.with_name("gan.index").write_bytes(b"x" * 99), r"no table of tensors.*\nGet its files once more"),
        (lambda p: linked(p.with_name("gan.index")), r"gan.index is a link or a device"),
    ],
)
def test_damaged_and_missing_files_are_told_so(refusal, tmp_path, change, text):
    prefix = copy(tmp_path)
    change(prefix)
    refusal(text, path=prefix, arch=f"{MODELS}:stack")


def linked(path):
    path.unlink()
    path.symlink_to(SAVED / "several" / path.name)


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        (
            "../attributes/ckpt-3",
            r"names '../attributes/ckpt-3' as the newest .* It has ckpt-1, ckpt-2: pass one of these",
        ),
        (None, r"holds several checkpoints and no list of them"),
    ],
)
def test_a_folder_that_does_not_tell_which_is_meant_is_refused(refusal, tmp_path, listed, text):
    folder = copy(tmp_path, "attributes", "checkpoint").parent
    (folder / "checkpoint").unlink()
    if listed:
        (folder / "checkpoint").write_text(f'model_checkpoint_path: "{listed}"\n')
    refusal(text, path=folder)


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        ("several/gan", {}, r"holds weights alone, not how the layers are connected"),
        ("named", {"arch": f"{MODELS}:stack"}, r"model.ckpt-7: holds weights for 4 layers, the architecture has 2"),
        ("named", {"arch": f"{MODELS}:named", "signature": "x"}, r"is no SavedModel; --signature is for those"),
    ],
)
def test_an_architecture_of_other_weights_is_refused(refusal, path, options, text):
    refusal(text, path=SAVED / path, **options)


@pytest.mark.parametrize("what", ["far", "none", "loop", "lacking"])
def test_objects_that_were_tampered_with_are_refused(refusal, keras, tmp_path, what):
    keras("tampered", source=SAVED / "attributes/ckpt-1", prefix=tmp_path / "w", what=what)
    refusal(
        r"w: (its objects (refer to others|have a weight)|is a checkpoint without weights)",
        path=tmp_path / "w",
        arch=f"{MODELS}:attributes",
    )
