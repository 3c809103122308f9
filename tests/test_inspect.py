"""bridge inspect: what is in a file, and what convert would refuse of it, for every format."""

import json
import re
import shutil
import struct
import zipfile

import numpy as np
import onnx
import onnx_samples
import pytest
from click.testing import CliRunner
from parity_files import LAYERS, MODELS, change, dense, spoil, write_h5

from bridge.cli import cli
from bridge.cli.layer_lines import layer_lines
from bridge.convert import keras2torch, torch2keras
from bridge.errors import BridgeError
from bridge.inspection import Layer, Weight, inspect

ARCH = f"{MODELS}:normalised"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same network as weights.h5, model.keras and the bridge folder out."""
    folder = tmp_path_factory.mktemp("inspect")
    weights = write_h5(folder / "weights.h5", LAYERS["normalised"])
    keras2torch(weights, folder / "out", arch=ARCH)
    torch2keras(folder / "out", folder / "model.keras")
    return folder


def described(found):
    return [(layer.name, layer.kind, layer.output_shape, layer.parameters) for layer in found.layers]


WHOLE = [
    ("first", "Dense", (None, 5), 35),
    ("norm", "BatchNormalization", (None, 5), 20),
    ("last", "Dense", (None, 3), 18),
]


def test_weights_alone_are_listed_and_convert_says_what_it_needs(files):
    found = inspect(files / "weights.h5")
    assert described(found) == [("first", "", None, 35), ("norm", "", None, 20), ("last", "", None, 18)]
    assert found.trainable is None
    assert "convert needs --arch FILE.py:function" in found.convert[0]


def test_weights_of_a_dense_stack_get_a_proposal_for_mlp(tmp_path):
    weights = write_h5(tmp_path / "stack.h5", LAYERS["dropped"])
    assert "--mlp 6-5:?-3:?" in inspect(weights).convert[0]
    found = inspect(weights, mlp="6-5:relu-3:softmax")
    assert found.facts["inputs"].endswith("(batch x 6) float32")
    assert found.trainable == found.parameters == 53


@pytest.mark.parametrize(("name", "arch"), [("weights.h5", ARCH), ("model.keras", None)])
def test_a_keras_file_is_listed_as_the_loaded_model_is(files, name, arch):
    found = inspect(files / name, arch=arch)
    assert described(found) == WHOLE
    assert (found.parameters, found.trainable) == (73, 63)
    assert found.facts["outputs"] == "last (batch x 3) float32"
    assert found.refusals == []
    assert "keras2torch and keras2onnx take it: 3 layers" in found.convert[0]


def test_a_folder_is_listed_with_its_files(files):
    found = inspect(files / "out")
    assert described(found) == WHOLE
    assert (found.parameters, found.trainable) == (73, 63)
    assert found.facts["files"] == "model.onnx, model.safetensors, model.py, map.json"
    assert found.facts["map"] == "8 Keras weights, 2 of them in another layout in torch"
    assert (found.refusals, found.warnings) == ([], [])


def test_a_layered_onnx_file_is_listed_by_keras_layers(files):
    found = inspect(files / "out" / "model.onnx")
    assert found.format == "layered ONNX"
    assert described(found) == WHOLE


def test_a_plain_onnx_file_is_listed_by_nodes_and_refused_by_convert(tmp_path):
    onnx.save(onnx_samples.mlp((12, 8, 4)), tmp_path / "plain.onnx")
    found = inspect(tmp_path / "plain.onnx")
    assert [(layer.kind, layer.output_shape, layer.parameters) for layer in found.layers] == [
        ("Gemm", (None, 8), 104),
        ("Relu", (None, 8), 0),
        ("Gemm", (None, 4), 36),
        ("Softmax", (None, 4), 0),
    ]
    assert "does not say which Keras layer" in found.refusals[0]


def test_a_safetensors_file_is_listed_from_its_header(files):
    found = inspect(files / "out" / "model.safetensors")
    weights = {weight.name: (weight.shape, weight.dtype) for layer in found.layers for weight in layer.weights}
    assert weights["first.weight"] == ((5, 6), "float32")
    assert found.parameters == 73
    assert "Part of the bridge folder" in found.convert[0]


def test_every_refusal_is_listed_at_once(tmp_path):
    weights = write_h5(tmp_path / "hashed.h5", LAYERS["hashed"])
    found = inspect(weights, arch=f"{MODELS}:hashed")
    assert [line.split(":")[0] for line in found.refusals] == [f"{name} (Hashing)" for name in ("once", "second")]
    assert found.convert == []


def test_what_training_will_lack_in_torch_is_told_of_every_format(tmp_path):
    weights, arch = write_h5(tmp_path / "hued.h5", LAYERS["hued"]), f"{MODELS}:hued"
    line = "Training in torch will lack hue (RandomHue), which in Keras's training changes the hue of the images."
    assert inspect(weights, arch=arch).notes == [line]
    assert keras2torch(weights, tmp_path / "out", arch=arch).notes == (line,)
    assert inspect(tmp_path / "out").notes == inspect(tmp_path / "out" / "model.onnx").notes == [line]
    assert line in CliRunner().invoke(cli, ["inspect", str(tmp_path / "out")]).stdout.splitlines()
    arguments = [str(weights), "--arch", arch, "-o", str(tmp_path / "again")]
    assert CliRunner().invoke(cli, ["convert", "keras2torch", *arguments]).stdout.splitlines()[-1] == line


def test_classes_that_are_not_keras_own_are_all_refused_by_name(files, tmp_path):
    with zipfile.ZipFile(files / "model.keras") as old, zipfile.ZipFile(tmp_path / "own.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                for layer in config["config"]["layers"]:
                    if layer["class_name"] == "Dense":
                        layer |= {"module": "mine", "class_name": "MyDense", "registered_name": "mine>MyDense"}
                content = json.dumps(config)
            new.writestr(name, content)
    found = inspect(tmp_path / "own.keras")
    (line,) = found.refusals
    assert "layer 'first' has the custom class 'mine>MyDense' (1 more too)." in line
    assert str(tmp_path) not in line
    assert [layer.kind for layer in found.layers].count("MyDense") == 2


def test_nan_is_told_in_every_format(files, tmp_path):
    from safetensors.numpy import load_file, save_file

    bad = change(files / "out" / "model.onnx", tmp_path / "nan.onnx", "first/bias", spoil(0, np.nan))
    assert inspect(bad).warnings == ["NaN or infinity in first/bias"]
    state = load_file(files / "out" / "model.safetensors")
    save_file(state | {"first.bias": np.full_like(state["first.bias"], np.inf)}, tmp_path / "inf.safetensors")
    assert inspect(tmp_path / "inf.safetensors").warnings == ["NaN or infinity in first.bias"]
    infinity = header(b'{"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}', b"\0\0\x80\x7f")
    (tmp_path / "brain.safetensors").write_bytes(infinity)
    assert inspect(tmp_path / "brain.safetensors").warnings == ["NaN or infinity in w"]


def test_a_stale_folder_is_told(files, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(files / "out", tmp_path / "out")
    state = load_file(folder / "model.safetensors")
    save_file({k: v * 2 for k, v in state.items() if k != "last.bias"}, folder / "model.safetensors")
    found = inspect(folder)
    assert "model.safetensors has changed since model.onnx was written" in found.warnings[0]
    assert found.refusals == ["model.safetensors lacks last.bias"]


def header(text, data=b""):
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"", "is not a safetensors file, or it is truncated"),
        ("a.safetensors", struct.pack("<Q", 2**60), "is not a safetensors file, or it is truncated"),
        ("a.safetensors", header(b"[]"), "its header is not a JSON object"),
        ("a.safetensors", header(b'{"w": {"dtype": "F32"}}'), "says of 'w' what can't be read"),
        (
            "a.safetensors",
            header(b'{"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}', b"1234"),
            r"'w' has other bytes than its shape \[4\] wants",
        ),
        ("a.safetensors", header(b'{"w": {"dtype": "C64"}}'), "'w' is of the type 'C64', which bridge does not know"),
        ("a.onnx", b"no protobuf", "is not an ONNX model"),
        ("a.pt", b"pickle", "bridge knows Keras files"),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BridgeError, match=message):
        inspect(tmp_path / name)


def test_missing_files_and_options_that_do_not_fit_are_refused(files, tmp_path):
    with pytest.raises(BridgeError, match="no such file"):
        inspect(tmp_path / "absent.onnx")
    with pytest.raises(BridgeError, match="is not a bridge folder"):
        inspect(tmp_path)
    with pytest.raises(BridgeError, match="is no Keras file"):
        inspect(files / "out", mlp="6-5:relu")


def test_the_command_fits_into_80_columns_and_speaks_json(files, tmp_path):
    def invoke(*arguments):
        return CliRunner().invoke(cli, ["inspect", *arguments], env={"COLUMNS": "80"}, catch_exceptions=False).stdout

    deep = tmp_path / ("long" * 20) / "model.onnx"
    deep.parent.mkdir()
    shutil.copy(files / "out" / "model.onnx", deep)
    lines = invoke(str(deep)).splitlines()
    assert lines[0] == str(deep)
    assert max(map(len, lines[1:])) <= 80
    assert any(line.split() == ["norm", "BatchNormalization", "5", "20"] for line in lines)
    told = json.loads(invoke(str(files / "out"), "--json"))
    assert (told["parameters"], told["layers"][0]["parameters"]) == (73, 35)


def listed(layers, width=80, **options):
    return [line.plain for line in layer_lines(layers, width, **options)]


def block(number, names, before="stage"):
    weights = (Weight("kernel", (3, 3, 4, 4), "float32", True),)
    return [Layer(f"{before}{number}_{name}", "Conv2D", (None, 8, 8, 4), weights) for name in names]


def test_repeated_blocks_are_told_once_from_where_their_names_begin():
    stem = block(1, ["a", "b", "shortcut", "end"])
    blocks = [layer for number in range(2, 6) for layer in block(number, ["a", "b", "end"])]
    lines = listed([*stem, *blocks, Layer("head", "Dense", (None, 3), ())])
    assert [line.split()[0] for line in lines[2:]] == [
        *(
            "stage1_a",
            "stage1_b",
            "stage1_shortcut",
            "stage1_end",
            "stage2_a",
            "stage2_b",
            "stage2_end",
            "these",
            "head",
        )
    ]
    assert lines[-2] == "  these 3 layers 3 times more: stage3_a to stage5_end, 432 parameters each"
    assert len(listed([*stem, *blocks], whole=True)) == 2 + 16 * 2


def test_blocks_of_layers_that_keras_named_are_folded_too():
    kinds = ["conv2d", "conv2d", "re_lu"]
    layers = [
        Layer(f"{kind}_{5 * i + j}" if i else kind, kind, (None, 4)) for i in range(5) for j, kind in enumerate(kinds)
    ]
    assert "  these 3 layers 4 times more: conv2d_5 to re_lu_22" in listed(layers)


def test_long_names_have_a_line_of_their_own():
    name = "encoder/" + "very_long_name_of_a_block_" * 4 + "attention"
    lines = listed([Layer(name, "GroupNormalization", (None, None, 128), ()), Layer("out", "Dense", (None, 3), ())])
    assert max(map(len, lines)) <= 80
    assert "".join(lines[2:-2]).replace(" ", "") == name
    assert lines[-2].split() == ["GroupNormalization", "any", "x", "128"]


def test_what_torch_would_refuse_is_told_before_the_conversion(tmp_path):
    (tmp_path / "odd.py").write_text(
        "import keras\nimport tensorflow as tf\n\n\n"
        "class Brightness(keras.layers.Layer):\n"
        "    def call(self, x):\n        return tf.cumsum(x, tf.cast(tf.reduce_sum(x) > 0, tf.int32))\n\n\n"
        "def odd():\n    x = keras.Input((4, 4, 6))\n"
        "    return keras.Model(x, keras.layers.Dense(4, name='last')(Brightness(name='odd')(x)))\n"
    )
    found = inspect(write_h5(tmp_path / "w.h5", {"last": dense(6, 4)}), arch=f"{tmp_path / 'odd.py'}:odd")
    reason = r"odd/Cumsum\w* \(CumSum\): CumSum with axes that are computed at run time \(keras2torch; keras2onnx"
    assert re.search(reason, found.refusals[0]), found.refusals
    assert found.convert == []
