"""Files of Keras 0.3 to 2.15: they compute what their writer did, and go home bit for bit.

`tools/make_oldest_files.py` has those called ..._by_... from old versions of Keras themselves,
`tools/make_old_files.py` the others from tf_keras, in the dialects of Keras 1.2 to 2.15. Weights alone have their
config beside them.
"""

from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
import torch

from bridge.graph import from_proto
from bridge.torch_side.writing.build import arrays_from, build, plan_of

FOLDER = Path(__file__).parent / "old"
FILES = sorted(path.stem for path in FOLDER.glob("*.h5"))
# upgrade -> the words of the note that every user gets
TOLD = {
    "keras1": ["Written by Keras 1.2.2", "hard_sigmoid is 0.2x + 0.5"],
    "sequential_of_theano": ["Written by Keras 2.0.5", "Theano convolves", "hard_sigmoid"],
    "recurrent": ["Written by Keras 2.1.6", "reset gate before the matrix product"],
    "cudnn": ["Written by Keras 2.2.4", "cuDNN's LSTM as an LSTM", "cuDNN's GRU as a GRU"],
    "functions": ["metrics and added losses"],
    "gone": ["locally connected"],
    "numbers_by_0_3_3": [
        "adds epsilon to the deviation",
        "the default of Keras 0.x",
        "--backend tensorflow reads them",
    ],
    "deviations_by_1_0_5": ["Written by Keras 1.0.5", "adds epsilon to the deviation", "don't end in :0"],
    "padded_by_1_2_2": ["Theano convolves", "padding by Theano", "don't end in :0"],
    "padded_by_2_2_4": ["Theano convolves", "padding by Theano", "a state that Theano pads", "poolings that Theano"],
}


@pytest.fixture(scope="module")
def read(keras, tmp_path_factory):
    """name -> (what the Keras process told of the file, the layered graph, the file that it came home to)."""
    cache = {}

    def one(name):
        if name not in cache:
            folder = tmp_path_factory.mktemp(name)
            config = FOLDER / f"{name}.json"
            how = {"arch": config} if config.exists() else {}
            told = keras("old", path=FOLDER / f"{name}.h5", to=folder / "model.onnx", home=folder / "home.h5", **how)
            cache[name] = told, from_proto(onnx.load(folder / "model.onnx")), folder / "home.h5"
        return cache[name]

    return one


def recorded(name, kind):
    with np.load(FOLDER / f"{name}.npz") as saved:
        return [saved[f"{kind}{i}"] for i in range(sum(key.startswith(kind) for key in saved.files))]


@pytest.mark.parametrize("name", FILES)
def test_keras_3_computes_what_the_writer_did(read, name):
    told = read(name)[0]
    for found, expected in zip(told["outputs"], recorded(name, "y"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("name", FILES)
def test_torch_computes_what_the_writer_did(read, name):
    told, graph, _ = read(name)
    module = build(graph).eval()
    given = dict(zip(told["inputs"], recorded(name, "x"), strict=True))
    with torch.no_grad():
        found = module(*[torch.from_numpy(given[value.name].astype(value.dtype)) for value in graph.inputs])
    listed = list(found.values()) if isinstance(found, dict) else [found]
    for output, expected in zip(listed, recorded(name, "y"), strict=True):
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("name", FILES)
def test_the_weights_go_home_bit_for_bit_in_the_writers_own_file(read, name):
    with h5py.File(FOLDER / f"{name}.h5") as original, h5py.File(read(name)[2]) as home:
        assert contents(home) == contents(original)
        assert {*home.attrs} == {*original.attrs} - {"training_config"}
        for key in home.attrs:
            assert words(home.attrs[key]) == words(original.attrs[key])


def words(value):
    """An attribute as text, however HDF5 holds it."""
    listed = np.asarray(value).reshape(-1).tolist()
    return [word.decode() if isinstance(word, bytes) else word for word in listed]


def contents(file):
    """Every dataset and every attribute of the weights."""
    found = {}

    def visit(path, item):
        found[path] = {key: words(value) for key, value in item.attrs.items()}
        if isinstance(item, h5py.Dataset):
            found[path] = (item.shape, item.dtype.str, item[()].tobytes())

    file.visititems(visit)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_weight_is_a_parameter(read, name):
    _, graph, _ = read(name)
    module = build(graph)
    assert {*plan_of(module).moves} == {*graph.weights}
    home = arrays_from(plan_of(module), module.state_dict())
    assert all(home[path].tobytes() == array.tobytes() for path, array in graph.arrays.items())
    trained = sum(weight.trainable and not weight.state for weight in graph.weights.values())
    assert sum(parameter.requires_grad for parameter in module.parameters()) == trained


@pytest.mark.parametrize("name", FILES)
def test_what_matters_of_the_upgrades_is_told(read, name):
    notes = "\n".join(read(name)[1].source.get("notes", []))
    assert all(words in notes for words in TOLD.get(name, []))


def test_inspect_tells_every_upgrade(keras):
    told = keras("describe", path=FOLDER / "sequential_of_theano.h5")
    assert not told["refusals"]
    lines = "\n".join(told["upgrades"])
    for words in ("a Sequential model as a list of its layers", "names of settings of LeakyReLU (leaky_re_lu_1)"):
        assert words in lines


def test_everything_that_has_no_equal_is_refused_at_once(keras, tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes((FOLDER / "functions.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        text = (
            file.attrs["model_config"].decode()
            if isinstance(file.attrs["model_config"], bytes)
            else file.attrs["model_config"]
        )
        for name in ("math.subtract", "cast", "nn.relu"):
            text = text.replace(f'"function": "{name}"', '"function": "io.write_file"')
        file.attrs["model_config"] = text.encode()
    told = keras("describe", path=path)
    assert len(told["refusals"]) >= 3
    assert all(
        "calls TensorFlow's 'io.write_file', which is not one of the functions that bridge knows" in line
        for line in told["refusals"]
    )
