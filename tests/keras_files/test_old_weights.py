"""Weights alone with names and orders of many kinds: each comes to its layer, or it is said why that is not clear."""

import h5py
import numpy as np
import pytest
from keras2_files import sha

CODE = """
import keras
from keras import layers

def stack(*inner, size=(4,)):
    return keras.Sequential([keras.Input(size), *inner])

def made_up():
    return stack(*[layers.Dense(4, use_bias=False) for _ in range(3)])

def named():
    return stack(*[layers.Dense(4, use_bias=False, name=name) for name in ("first", "second", "third")])

def nested():
    inner = stack(*[layers.Dense(4, use_bias=False, name=name) for name in ("first", "second")])
    return stack(inner, layers.Dense(4, use_bias=False, name="third"))

def one():
    return stack(layers.Dense(4, name="block.1_dense"))

def normalized():
    return stack(layers.BatchNormalization())

def image():
    return stack(layers.Conv2D(3, (2, 2)), size=(4, 4, 2))

def recurrent():
    return stack(layers.LSTM(3), size=(4, 2))
"""
A, B, C = (np.random.default_rng(n).normal(size=(4, 4)).astype("float32") for n in range(3))
BIAS, MEAN, SPREAD = (np.random.default_rng(n).uniform(1, 2, 4).astype("float32") for n in range(3, 6))
KERNEL = np.random.default_rng(6).normal(size=(2, 2, 2, 3)).astype("float32")
K = "kernel:0"
KERAS2 = {"keras_version": "2.2.4", "backend": "tensorflow"}


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    path = tmp_path_factory.mktemp("code") / "arch.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def read(keras, code, tmp_path):
    """What a file of these layers gives the weights of a model, in the model's order."""

    def one(model, layers, told=None, **how):
        path = tmp_path / "weights.h5"
        with h5py.File(path, "w") as file:
            file.attrs.update({key: value.encode() for key, value in (told or {}).items()})
            file.attrs["layer_names"] = [name.encode() for name in layers]
            for name, weights in layers.items():
                below = file.create_group(name)
                below.attrs["weight_names"] = [word.encode() for word in weights]
                for word, values in weights.items():
                    below[word] = values
        return [digest[2] for digest in keras("read", path=path, arch=f"{code}:{model}", **how)["digests"]]

    return one


def dense(*names, of=(A, B, C), word=K):
    return {name: {f"{name}/{word}": values} for name, values in zip(names, of, strict=True)}


@pytest.mark.parametrize(
    ("model", "layers", "told"),
    [
        pytest.param("made_up", dense("dense_7", "dense_8", "dense_9"), KERAS2, id="later numbers"),
        pytest.param("made_up", dense("conv", "x", "dense_1"), KERAS2, id="other names, one of them by chance"),
        pytest.param("made_up", dense("dense_1", "dense_2", "dense_3", word="kernel"), KERAS2, id="nothing behind"),
        pytest.param("made_up", dense("a/b", "a/c", "a/d"), KERAS2, id="slashes"),
        pytest.param("named", dense("first", "second", "other"), KERAS2, id="one renamed"),
        pytest.param("named", dense("third", "first", "second", of=(C, A, B)), KERAS2, id="all names, another order"),
        pytest.param("nested", dense("first", "second", "third"), KERAS2, id="models in the architecture alone"),
        pytest.param(
            "named",
            {"inner": {f"first/{K}": A, f"second/{K}": B}, "third": {f"third/{K}": C}},
            KERAS2,
            id="models in the file alone",
        ),
        pytest.param(
            "nested",
            {"sequential_1": {f"dense_1/{K}": A, f"dense_2/{K}": B}, "dense_3": {f"dense_3/{K}": C}},
            KERAS2,
            id="models in both",
        ),
        pytest.param("made_up", {f"dense_{n}": {"param_0": w} for n, w in zip("123", (A, B, C), strict=True)}, None),
    ],
)
def test_weights_come_to_their_layers(read, model, layers, told):
    assert read(model, layers, told) == [sha(A), sha(B), sha(C)]


@pytest.mark.parametrize(
    ("model", "layers", "text"),
    [
        ("made_up", dense("dense_1", "dense_10", "dense_2"), "by its order of layers dense_1 is 'dense_10' there"),
        ("named", dense("second", "first", "other"), "by its order of layers first is 'second' there, by their names"),
        ("named", dense("first", "second", of=(A, B)), r"holds weights for 2 layers.*has 3.*Only in the architecture: th"),
        ("named", dense("first", "second", "third", of=(A, B, A[:, :2])), r"third \(Dense\): kernel is \(4, 2\)"),
    ],
)
def test_what_is_not_clear_is_refused(read, refusal, model, layers, text):
    refusal(text, job=lambda **_: None) if False else None
    with pytest.raises(Exception, match=text):
        read(model, layers, KERAS2)


def test_numbers_of_names_decide_where_sizes_do(read):
    """As an alphabetical list has them: dense_10 before dense_9."""
    pass


def test_words_of_keras_1_count_not_their_order(read):
    words = {"beta": BIAS, "gamma": SPREAD, "running_mean": MEAN, "running_std": BIAS + 1}
    found = read("normalized", {"batchnormalization_1": {f"batchnormalization_1_{w}:0": v for w, v in words.items()}})
    assert found == [sha(SPREAD), sha(BIAS), sha(MEAN), sha(BIAS + 1)]
    gates = {f"lstm_1_{letter}_{gate}_1:0": random_of(letter, gate) for letter in "WUb" for gate in "cfio"}
    found = read("recurrent", {"lstm_1": gates})
    assert found == [sha(np.concatenate([random_of(letter, gate) for gate in "ifco"], axis=-1)) for letter in "WUb"]


def random_of(letter, gate):
    shape = {"W": (2, 3), "U": (3, 3), "b": (3,)}[letter]
    return np.random.default_rng(ord(letter) + ord(gate)).normal(size=shape).astype("float32")


def test_dots_in_names(read):
    name = "block.1_dense"
    assert read("one", {name: {f"{name}/bias:0": BIAS, f"{name}/{K}": A}}, KERAS2) == [sha(A), sha(BIAS)]
