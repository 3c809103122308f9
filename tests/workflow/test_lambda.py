"""Lambda layers: code in a file, run with --unsafe alone, then traced as what they compute, and taken home."""

import pytest
from parity_files import dense, write_h5

import bridge as api

ARCH = """
import keras
from keras import layers


def build():
    x = keras.Input((4,), name="x")
    h = layers.Lambda(lambda t: t * t - 1.0, name="parabola")(layers.Dense(3, name="first")(x))
    return keras.Model(x, layers.Dense(2, name="last")(h), name="curved")
"""


@pytest.fixture(scope="module")
def files(bridge, tmp_path_factory):
    """The folder that came from code, out, and the .keras file with a Lambda that went home from it."""
    folder = tmp_path_factory.mktemp("lambda")
    (folder / "arch.py").write_text(ARCH)
    write_h5(folder / "w.h5", {"first": dense(4, 3), "last": dense(3, 2)})
    result = bridge(
        "convert", "keras2torch", folder / "w.h5", "--arch", f"{folder / 'arch.py'}:build", "-o", folder / "out"
    )
    assert result.code == 0, result.err
    result = bridge("convert", "torch2keras", folder / "out", "--unsafe", "-o", folder / "curved.keras")
    assert result.code == 0, result.err
    return folder


def test_a_lambda_in_a_file_is_refused_by_every_command(bridge, files, tmp_path):
    for words in (
        ("convert", "keras2torch", files / "curved.keras", "-o", tmp_path / "out"),
        ("convert", "keras2onnx", files / "curved.keras", "-o", tmp_path / "m.onnx"),
        ("convert", "torch2keras", files / "out", "-o", tmp_path / "m.keras"),
        ("parity", files / "curved.keras", files / "out"),
    ):
        result = bridge(*words)
        assert result.code == 2, words
        assert "'parabola' (Lambda) carries code, which is not run" in result.err
        assert "trust the file with --unsafe" in result.err
    assert "'parabola' (Lambda) carries code" in bridge("inspect", files / "curved.keras").out
    assert not [*tmp_path.iterdir()]


def test_with_unsafe_it_converts_and_goes_home(bridge, files, tmp_path):
    assert bridge("inspect", files / "curved.keras", "--unsafe").code == 0
    result = bridge("convert", "keras2torch", files / "curved.keras", "--unsafe", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert {name for name, _ in api.load(tmp_path / "out").named_parameters()} == {
        f"{layer}.{word}" for layer in ("first", "last") for word in ("weight", "bias")
    }
    assert bridge("convert", "torch2keras", tmp_path / "out", "--unsafe", "-o", tmp_path / "home.keras").code == 0
    result = bridge("parity", files / "curved.keras", tmp_path / "home.keras", tmp_path / "out", "--unsafe")
    assert result.code == 0, result.err


def test_why_a_lambda_cannot_be_built_is_said(bridge, files, tmp_path):
    (tmp_path / "arch.py").write_text(ARCH.replace("t * t", "keras.ops.square(t)"))
    how = ["--arch", f"{tmp_path / 'arch.py'}:build"]
    assert bridge("convert", "keras2torch", files / "w.h5", *how, "-o", tmp_path / "out").code == 0
    result = bridge("convert", "torch2keras", tmp_path / "out", "--unsafe", "-o", tmp_path / "m.keras")
    assert "describes no model that Keras can build: We could not automatically infer the shape" in result.err
    assert bridge("convert", "torch2keras", tmp_path / "out", *how, "-o", tmp_path / "m.keras").code == 0
