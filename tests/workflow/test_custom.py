"""`--custom FILE.py` by the commands: custom layers convert, train as in Keras and go home; what is missing is told."""

from pathlib import Path

import pytest
from parity_files import dense, write_h5

import bridge as api

CODE = Path(__file__).parents[1] / "keras_files" / "custom_code.py"
SHAPES = {
    "scale": {"gain": (4,)},
    "plain": {"w": (4, 5)},
    "d1": dense(5, 6),
    "d2": dense(6, 6),
    "residual": {"k": (6, 6), "inner/kernel": (6, 6), "inner/bias": (6,)},
    "twice": {"k": (6, 6), "deep/gain": (6,)},
    "last": dense(6, 2),
}


@pytest.fixture(scope="module")
def files(bridge, tmp_path_factory):
    """The folder that came from code, and from its way home mine.keras and the folder out."""
    folder = tmp_path_factory.mktemp("custom")
    write_h5(folder / "w.h5", SHAPES)
    how = ("--arch", f"{CODE}:layer_by_layer")
    assert bridge("convert", "keras2torch", folder / "w.h5", *how, "-o", folder / "first").code == 0
    result = bridge("convert", "torch2keras", folder / "first", "--custom", CODE, "-o", folder / "mine.keras")
    assert result.code == 0, result.err
    result = bridge("convert", "keras2torch", folder / "mine.keras", "--custom", CODE, "-o", folder / "out")
    assert result.code == 0, result.err
    assert "Training in torch will lack the constraint Box of d2/bias: it is your own code." in result.out
    return folder


def test_custom_layers_and_regularizers_train_as_in_keras_and_go_home(bridge, files, tmp_path):
    words = ("parity", files / "mine.keras", files / "out", "--custom", CODE, "--train-steps", 10, "--optimizer", "sgd")
    result = bridge(*words)
    assert result.code == 0, result.out + result.err
    module = api.load(files / "out")
    names = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {"scale.gain", "plain.w", "residual.k", "residual.inner.weight", "twice.deep.gain"} <= names
    assert "regularizers.d2_kernel_penalty.penalty" in (files / "out" / "model.py").read_text()
    for name in ("home.keras", "home.h5"):
        result = bridge("convert", "torch2keras", files / "out", "--custom", CODE, "-o", tmp_path / name)
        assert result.code == 0, result.err
        result = bridge("parity", files / "mine.keras", tmp_path / name, "--custom", CODE, "--no-layers")
        assert result.code == 0, result.out + result.err


def test_what_the_users_file_imports_from_a_package_counts_too(bridge, files, tmp_path):
    code = f"import sys\n\nsys.path.append({str(CODE.parent)!r})\nfrom {CODE.stem} import *\n"
    (tmp_path / "user.py").write_text(code)
    result = bridge("inspect", files / "mine.keras", "--custom", tmp_path / "user.py")
    assert result.code == 0, result.err
    assert "Residual" in result.out
    assert "has the custom" not in result.out


def test_without_the_code_every_command_lists_what_is_missing(bridge, files, tmp_path):
    for words in (
        ("convert", "keras2onnx", files / "mine.keras", "-o", tmp_path / "m.onnx"),
        ("convert", "torch2keras", files / "out", "-o", tmp_path / "m.keras"),
        ("parity", files / "mine.keras", files / "out"),
    ):
        result = bridge(*words)
        assert result.code == 2, words
        for name in ("'lib>Scale'", "'Plain'", "'lib>wave'", "'bent'", "'lib>Pull'", "'lib>Residual'"):
            assert name in result.err
        assert "--custom FILE.py" in result.err
    assert not [*tmp_path.iterdir()]
    assert "--custom FILE.py" in bridge("inspect", files / "mine.keras").out
    told = bridge("inspect", files / "mine.keras", "--custom", CODE).out
    assert "Residual" in told
    assert "each one node and one module; what 5 of your own compute becomes operators." in " ".join(told.split())


def test_the_skeleton_of_weights_alone_is_printed_and_written(bridge, tmp_path):
    write_h5(
        tmp_path / "w.h5", {"conv2d": {"kernel": (3, 3, 1, 4), "bias": (4,)}, "flatten": {}, "dense": dense(36, 2)}
    )
    printed = bridge("inspect", tmp_path / "w.h5").out
    assert "layers.Flatten(name=" in printed
    assert "A start for it, with blanks in capitals" in printed
    result = bridge("inspect", tmp_path / "w.h5", "--skeleton", tmp_path / "arch.py")
    assert "fill in what is in capitals" in result.out
    text = (tmp_path / "arch.py").read_text()
    assert text in printed
    assert bridge("inspect", tmp_path / "w.h5", "--skeleton", tmp_path / "arch.py").code == 2, "it replaces nothing"
    for blank, value in {
        "HEIGHT": "5",
        "WIDTH": "5",
        "STRIDES": "1",
        "PADDING": "'valid'",
        "ACTIVATION": "'relu'",
    }.items():
        text = (
            text.replace(f"={blank}", f"={value}")
            .replace(f"({blank},", f"({value},")
            .replace(f" {blank},", f" {value},")
        )
    (tmp_path / "arch.py").write_text(text)
    result = bridge(
        "convert", "keras2torch", tmp_path / "w.h5", "--arch", f"{tmp_path / 'arch.py'}:build", "-o", tmp_path / "out"
    )
    assert result.code == 0, result.err
    write_h5(tmp_path / "mlp.h5", {"a": dense(4, 3), "b": dense(3, 2)})
    assert "--mlp 4-3:?-2:?" in bridge("inspect", tmp_path / "mlp.h5").out
    assert bridge("inspect", tmp_path / "out", "--skeleton", tmp_path / "more.py").code == 2
