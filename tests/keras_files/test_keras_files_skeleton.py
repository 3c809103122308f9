"""Weights alone, met halfway: code that builds the architecture from their shapes, with its blanks in capitals."""

import re

import h5py
import numpy as np
import pytest

FILES = ("only.h5", "model.weights.h5")
# What a user fills in, in the order of the lines; and, in files that don't tell the places of layers without weights,
# which line comes behind which
FILLED = {
    "pictures": {
        "HEIGHT": ["14"],
        "WIDTH": ["10"],
        "STRIDES": ["1", "None", "1", "1"],
        "PADDING": ['"same"', '"valid"', '"valid"', '"same"'],
        "ACTIVATION": ["None", '"relu"', '"relu"', '"relu"', '"softmax"'],
        "POOL_SIZE": ["2"],
        "RATE": ["0.2"],
    },
    "pooled": {
        "HEIGHT": ["12"],
        "WIDTH": ["12"],
        "STRIDES": ["2", "1"],
        "PADDING": ['"valid"', '"valid"'],
        "ACTIVATION": ["None", '"relu"', '"relu"', "None"],
        "SCALE": ["False"],
        "CENTER": ["True"],
    },
    "words": {
        "STRIDES": ["1"],
        "PADDING": ['"valid"'],
        "ACTIVATION": ['"relu"', '"softmax"'],
        "RETURN_SEQUENCES": ["False"],
    },
    "tagged": {
        "MERGE_MODE": ['"sum"'],
        "RETURN_SEQUENCES": ["False"],
        "ACTIVATION": ['"relu"', "None"],
    },
    "frames": {
        "STEPS": ["3"],
        "HEIGHT": ["6"],
        "WIDTH": ["6"],
        "STRIDES": ["1"],
        "PADDING": ['"valid"'],
        "ACTIVATION": ['"relu"', "None"],
        "LAYER": ["layers.MaxPooling2D()", "layers.Flatten()"],
        "RETURN_SEQUENCES": ["False"],
    },
    "pictures_from_codes": {
        "ACTIVATION": ['"relu"', "None", '"sigmoid"'],
        "HEIGHT": ["3"],
        "WIDTH": ["2"],
        "TARGET_SHAPE": ["(3, 2, 6)"],
        "STRIDES": ["2", "1"],
        "PADDING": ['"same"', '"valid"'],
    },
}
PUT_IN = {"pictures": [("BatchNormalization", "layers.ReLU(), layers.MaxPooling2D(2),")]}


def filled(text, case, ordered):
    lines = []
    values = {blank: list(given) for blank, given in FILLED[case].items()}
    if not ordered:
        values = {blank: [v for v in given if v != "None" or blank == "ACTIVATION"] for blank, given in values.items()}
        if case == "pictures":
            values["PADDING"] = ['"same"', '"valid"', '"same"']
    head, body = text.split("def build", 1)
    for line in body.splitlines():
        code, mark, note = line.partition("  # ")
        for blank in values:
            while re.search(rf"(?<![\w.]){blank}\b", code):
                code = re.sub(rf"(?<![\w.]){blank}\b", lambda _, b=blank: values[b].pop(0), code, count=1)
        lines.append(code + mark + note)
        lines += [more for kind, more in PUT_IN.get(case, []) if not ordered and f".{kind}(" in code]
    return f"{head}def build" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", FILLED)
@pytest.mark.parametrize("file", FILES)
def test_a_skeleton_with_its_blanks_filled_in_is_the_architecture(keras, made, tmp_path, case, file):
    folder, truth = made(case)
    text = keras("describe", path=folder / file)["skeleton"]
    (tmp_path / "arch.py").write_text(filled(text, case, file == "only.h5"))
    got = keras("read", path=folder / file, arch=f"{tmp_path / 'arch.py'}:build")
    assert got["digests"] == truth["digests"]
    # TensorFlow adds up in another order from one model to the next
    np.testing.assert_allclose(got["outputs"][0], truth["outputs"][0], rtol=1e-6)


def test_a_skeleton_says_what_the_shapes_tell(keras, made):
    text = keras("describe", path=made("pictures")[0] / "only.h5")["skeleton"]
    assert "layers.Flatten(name=" in text
    assert "  # 180 = 12 channels x 15 positions" in text
    assert (
        "layers.DepthwiseConv2D(3, strides=STRIDES, padding=PADDING, activation=ACTIVATION, depth_multiplier=2" in text
    )
    text = keras("describe", path=made("pictures")[0] / "model.weights.h5")["skeleton"]
    assert "whose places it does not tell: Dropout, MaxPooling2D, ReLU" in text
    text = keras("describe", path=made("pooled")[0] / "model.weights.h5")["skeleton"]
    assert "layers.GlobalAveragePooling2D()," in text
    assert "groups=2" in text
    assert "WIDTH, 4)),  # 4 channels; with groups=N in the convolution N times as many" in text


def test_an_unfilled_blank_is_told_by_its_name(refusal, keras, made, tmp_path):
    path = made("words")[0] / "only.h5"
    (tmp_path / "arch.py").write_text(keras("describe", path=path)["skeleton"])
    arch = f"{tmp_path / 'arch.py'}:build"
    refusal(r"raised NameError: name 'STRIDES' is not defined \(line \d+\)", path=path, arch=arch)


@pytest.mark.parametrize("case", ["functional", "nested"])
def test_what_is_no_stack_has_no_skeleton(keras, made, case):
    for file in FILES:
        assert keras("describe", path=made(case)[0] / file)["skeleton"] is None


def test_a_name_in_a_file_is_a_literal_in_its_skeleton(keras, tmp_path):
    name = 'a"), __import__("os").system("x"), (\n"'
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [name]
        group = file.create_group(name)
        group.attrs["weight_names"] = ["kernel:0"]
        group["kernel:0"] = [[1.0, 2.0]]
    text = keras("describe", path=tmp_path / "w.h5")["skeleton"]
    calls = [line.strip() for line in text.splitlines() if "system" in line]
    assert len(calls) == 1
    assert re.fullmatch(
        r'layers\.Dense\(2, activation=ACTIVATION, use_bias=False, name="a\\"\), .*\\n\\""\),', calls[0]
    )
