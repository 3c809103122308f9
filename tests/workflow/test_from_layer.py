"""--from-layer: a part of a model, without the preprocessing of text before it, to torch and home."""

import pytest
import torch
from parity_files import dense, write_h5

import bridge as api
from bridge.folder import read_graph

ARCH = """
import keras
from keras import layers


def whole():
    words, age = keras.Input((3,), dtype="string", name="words"), keras.Input((2,), name="age")
    place = layers.StringLookup(vocabulary=[str(n) for n in range(9)], name="lookup")(words)
    means = layers.GlobalMaxPooling1D(name="means")(layers.Embedding(10, 4, name="vectors")(place))
    joined = layers.Concatenate(name="join")([means, layers.Dense(2, activation="tanh", name="ages")(age)])
    out = layers.Dense(3, activation="softmax", name="out")(joined)
    return keras.Model([words, age], {"class": out, "years": layers.Dense(1, name="again")(joined)}, name="whole")


def masked():
    x = keras.Input((3,), dtype="int32")
    mean = layers.GlobalAveragePooling1D(name="mean")(layers.Embedding(10, 4, mask_zero=True, name="vectors")(x))
    return keras.Model(x, layers.Dense(3, name="out")(mean), name="masked")


class Own(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.out = layers.Dense(3, name="out")

    def call(self, x):
        return self.out(x)


def own():
    model = Own()
    model(keras.ops.zeros((1, 4)))
    return model
"""
WEIGHTS = {
    "whole": {"vectors": {"embeddings": (10, 4)}, "ages": dense(2, 2), "out": dense(6, 3), "again": dense(6, 1)},
    "masked": {"vectors": {"embeddings": (10, 4)}, "out": dense(4, 3)},
    "own": {"out": dense(4, 3)},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("part")
    (folder / "arch.py").write_text(ARCH)
    for name, sizes in WEIGHTS.items():
        write_h5(folder / f"{name}.h5", sizes)
    return folder


@pytest.fixture(scope="module")
def part(bridge, files):
    how = ["--arch", f"{files / 'arch.py'}:whole", "--from-layer", "vectors"]
    result = bridge("convert", "keras2torch", files / "whole.h5", *how, "-o", files / "out")
    assert result.code == 0, result.err
    return files / "out"


def test_the_part_begins_with_what_enters_the_layer_and_keeps_the_other_inputs(part):
    module = api.load(part)
    assert module.input_shapes == {"age": (2,), "lookup": (3,)}
    assert read_graph(part).source["part"] == "from vectors on"
    found = module(torch.zeros(2, 2), torch.zeros(2, 3, dtype=torch.int64))
    assert {name: tuple(y.shape) for name, y in found.items()} == {"class": (2, 3), "years": (2, 1)}


def test_the_whole_model_is_refused_with_the_way_out(bridge, files):
    result = bridge("convert", "keras2torch", files / "whole.h5", "--arch", f"{files / 'arch.py'}:whole", "-o", "x")
    assert result.code == 2
    assert "lookup (StringLookup): text can't be converted; split the preprocessing off" in result.err
    assert "--from-layer vectors" in result.err


def test_inspect_and_parity_take_the_part_too(bridge, files, part):
    how = ["--arch", f"{files / 'arch.py'}:whole"]
    refused = bridge("inspect", files / "whole.h5", *how)
    assert "convert would refuse it" in refused.out
    found = bridge("inspect", files / "whole.h5", *how, "--from-layer", "vectors")
    assert found.code == 0, found.err
    assert "lookup (batch x 3) int64" in found.out
    assert "convert would refuse it" not in found.out
    same = bridge("parity", files / "whole.h5", part, *how, "--from-layer", "vectors")
    assert same.code == 0, same.err


def test_home_is_the_part_alone_or_the_whole_model_by_its_architecture(bridge, files, part, tmp_path):
    module = api.load(part)
    with torch.no_grad():
        module.out.weight.mul_(2)
    api.save(module, tmp_path / "tuned")
    alone, whole = tmp_path / "alone.keras", tmp_path / "whole.weights.h5"
    assert bridge("convert", "torch2keras", tmp_path / "tuned", "-o", alone).code == 0
    assert bridge("parity", alone, tmp_path / "tuned").code == 0
    how = ["--arch", f"{files / 'arch.py'}:whole"]
    result = bridge("convert", "torch2keras", tmp_path / "tuned", *how, "-o", whole)
    assert result.code == 0, result.err
    again = bridge("parity", whole, tmp_path / "tuned", *how, "--from-layer", "vectors")
    assert again.code == 0, again.err


def test_weights_before_the_part_stay_as_the_architecture_made_them(bridge, files, tmp_path):
    how = ["--arch", f"{files / 'arch.py'}:whole"]
    options = [*how, "--from-layer", "join", "-o", tmp_path / "head"]
    assert bridge("convert", "keras2torch", files / "whole.h5", *options).code == 0
    assert api.load(tmp_path / "head").input_shapes == {"means": (4,), "ages": (2,)}
    result = bridge("convert", "torch2keras", tmp_path / "head", *how, "-o", tmp_path / "whole.weights.h5")
    assert "4 weights" in result.out
    assert "3 more are as --arch made them: not of the part." in result.out.replace("\n", " ")
    again = bridge("parity", tmp_path / "whole.weights.h5", tmp_path / "head", *how, "--from-layer", "join")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("model", "layer", "text"),
    [
        (
            "whole",
            "vector",
            "--from-layer vector: whole has no layer of that name.\nNames near it: vectors; bridge inspect",
        ),
        ("whole", "q9", "whole has no layer of that name.\nIts first layers: lookup, vectors, "),
        ("whole", "age", "whole: age is an input, so the whole model begins there"),
        ("masked", "mean", "what vectors makes has a mask, which would be lost. Begin with vectors, or before it"),
        ("own", "out", "own (Own): its own code says how its layers are connected, so --from-layer\ncan't cut it"),
    ],
)
def test_what_cannot_be_cut_is_said(bridge, files, tmp_path, model, layer, text):
    how = ["--arch", f"{files / 'arch.py'}:{model}", "--from-layer", layer]
    result = bridge("convert", "keras2onnx", files / f"{model}.h5", *how, "-o", tmp_path / "m.onnx")
    assert result.code == 2
    assert text in result.err
