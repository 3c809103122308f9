"""Files of mixed precision, and of networks with classes of keras.applications, through the commands."""

import zipfile

import pytest

import bridge as api

WRITER = """
import sys, keras, numpy as np
from keras import layers
from keras.src.applications.convnext import ConvNeXt
folder = sys.argv[1]
small = {"weights": None, "classes": 3, "input_shape": (32, 32, 3)}
ConvNeXt((1, 1, 1, 1), (4, 4, 6, 6), drop_path_rate=0.2, **small).save(f"{folder}/convnext.keras")
keras.config.set_dtype_policy("mixed_float16")
stack = [layers.Normalization(), layers.Dense(6, activation="relu"), layers.BatchNormalization()]
model = keras.Sequential([keras.Input((4,)), *stack, layers.Dense(3, activation="softmax", dtype="float32")])
x = np.random.default_rng(0).normal(3, 2, (64, 4)).astype("float32")
stack[0].adapt(x)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, np.arange(64) % 3, verbose=0)
assert type(model.optimizer).__name__ == "LossScaleOptimizer"
model.save(f"{folder}/mixed.keras")
model.save(f"{folder}/mixed.h5")
"""


@pytest.fixture(scope="module")
def files(keras, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    keras.script(WRITER, folder)
    return folder


@pytest.mark.parametrize("name", ["mixed.keras", "mixed.h5"])
def test_mixed_precision_converts_in_float32_and_keeps_its_policy_at_home(name, files, bridge, tmp_path):
    result = bridge("convert", "keras2torch", files / name, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert "policy is mixed_float16: it was converted and compared in float32" in result.out
    assert "torch.autocast" in result.out
    assert bridge("convert", "torch2keras", tmp_path / "out", "-o", tmp_path / "home.keras").code == 0
    with zipfile.ZipFile(tmp_path / "home.keras") as home:
        assert home.read("config.json").decode().count('"mixed_float16"') >= 3
    assert bridge("parity", files / name, tmp_path / "out", tmp_path / "home.keras").code == 0


def test_a_network_of_keras_applications_comes_from_its_file(files, bridge, tmp_path):
    result = bridge("convert", "keras2torch", files / "convnext.keras", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    module = api.load(tmp_path / "out")
    assert module.convnext_stage_3_block_0_layer_scale.weight.shape == (6,)
    assert module.convnext_stage_3_block_0_stochastic_depth.p == pytest.approx(0.2)


def test_a_class_of_the_same_name_elsewhere_is_refused(files, bridge, tmp_path):
    hostile = tmp_path / "hostile.keras"
    with zipfile.ZipFile(files / "convnext.keras") as given, zipfile.ZipFile(hostile, "w") as made:
        for member in given.namelist():
            data = given.read(member)
            made.writestr(member, data.replace(b"keras.src.applications.convnext", b"keras.src.applications.nasnet"))
    result = bridge("convert", "keras2torch", hostile, "-o", tmp_path / "out")
    assert result.code == 2
    assert "has the custom class 'LayerScale'" in result.err
