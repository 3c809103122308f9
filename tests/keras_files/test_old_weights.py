"""Weights alone with names and orders of many kinds: each comes to its layer, or it is said why that is not clear."""

from pathlib import Path

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

def nested_made_up():
    inner = stack(*[layers.Dense(4, use_bias=False) for _ in range(2)])
    return stack(inner, layers.Dense(4, use_bias=False))

def towers():
    size = keras.Input((4,))
    one, first, second = (layers.Dense(4, use_bias=False, name=name) for name in ("first", "first", "second"))
    return stack(keras.Model(size, stack(first, second)(stack(one)(size))))

def normalized_within():
    return stack(layers.Dense(4, use_bias=False), layers.BatchNormalization(), layers.Dense(4, use_bias=False))

class Own(layers.Layer):
    def __init__(self):
        super().__init__()
        self.layers, self.lora_enabled = 2, True

    def build(self, shape):
        self.lora_a = self.add_weight(shape=(4, 4), name="lora_a")

    def call(self, x):
        return x @ self.lora_a

def own():
    return stack(Own(), *[layers.Dense(4, use_bias=False) for _ in range(2)])

def sized():
    return stack(*[layers.Dense(n, use_bias=False) for n in (3, 5)])

def one():
    return stack(layers.Dense(4, name="block.1_dense"))

def normalized():
    return stack(layers.BatchNormalization())

def image():
    return stack(layers.Conv2D(3, (2, 2)), size=(4, 4, 2))

def image_first():
    return stack(layers.Conv2D(3, (2, 2), data_format="channels_first"), size=(2, 4, 4))

def grown():
    return stack(layers.Conv2DTranspose(2, (2, 2)), size=(4, 4, 2))

def frames():
    return stack(layers.ConvLSTM2D(1, (2, 2), use_bias=False), size=(3, 4, 4, 2))

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
def file(tmp_path):
    """Writes weights alone: {layer: {weight: numbers}}. told: what the file says of its writer."""

    def one(layers, told=None):
        path = tmp_path / "weights.h5"
        with h5py.File(path, "w") as file:
            file.attrs.update({key: value.encode() for key, value in (told or {}).items()})
            file.attrs["layer_names"] = [name.encode() for name in layers]
            for name, weights in layers.items():
                below = file.create_group(name)
                below.attrs["weight_names"] = [word.encode() for word in weights]
                for word, values in weights.items():
                    below[word] = values
        return path

    return one


@pytest.fixture
def read(keras, code, file):
    """The digests of a model's weights, in its order, that a file of these layers gives it."""

    def one(model, layers, told=None):
        found = keras("read", path=file(layers, told), arch=f"{code}:{model}")
        return [digest[2] for digest in found["digests"]]

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
        pytest.param(
            "towers", {"t1": {f"first/{K}": A}, "t2": {f"first/{K}": B, f"second/{K}": C}}, KERAS2, id="a name twice"
        ),
        pytest.param(
            "named", {"t1": {f"first/{K}": A}, "t2": {f"first/{K}": B, f"third/{K}": C}}, KERAS2, id="twice in the file"
        ),
        pytest.param(
            "own",
            {"own": {"own/lora_a:0": A}, **dense("dense", "dense_1", of=(B, C))},
            KERAS2,
            id="a class of the user's with Keras's own words",
        ),
        pytest.param("made_up", {f"dense_{n}": {"param_0": w} for n, w in zip("123", (A, B, C), strict=True)}, None),
    ],
)
def test_weights_come_to_their_layers(read, model, layers, told):
    assert read(model, layers, told) == [sha(A), sha(B), sha(C)]


@pytest.mark.parametrize(
    ("model", "layers", "text"),
    [
        (
            "made_up",
            dense("dense_1", "dense_10", "dense_2"),
            "dense_1 is 'dense_10' there, by their names 'dense_2', and",
        ),
        (
            "named",
            dense("second", "first", "other"),
            "its order of layers first is 'second' there, by their names 'first'",
        ),
        (
            "nested_made_up",
            {"sequential_1": {f"dense_2/{K}": B, f"dense_1/{K}": A}, "dense_3": {f"dense_3/{K}": C}},
            r"its order of layers dense is 'dense_2' there, by their names 'dense_1'",
        ),
        (
            "named",
            dense("first", "second", of=(A, B)),
            r"has 3 layers with weights\. Only in the architecture: third",
        ),
        ("own", dense("first", "second", of=(A, B)), "the architecture has 3 layers with weights"),
        ("named", dense("first", "second", "third", of=(A, B, A[:, :2])), r"third \(Dense\): kernel is \(4, 2\)"),
    ],
)
def test_what_is_not_clear_is_refused(refusal, code, file, model, layers, text):
    refusal(text, path=file(layers, KERAS2), arch=f"{code}:{model}")


@pytest.mark.parametrize(
    ("model", "layers", "said"),
    [
        ("named", dense("a", "b", "c"), "(first is 'a', second is 'b', third is 'c')"),
        (
            "nested",
            {"sequential_1": {f"a/{K}": A, f"b/{K}": B}, "third": {f"third/{K}": C}},
            "(first is 'a', second is 'b')",
        ),
        ("made_up", dense("dense_7", "dense_8", "dense_9"), None),
    ],
)
def test_an_order_that_nothing_else_speaks_for_is_told(keras, code, file, model, layers, said):
    found = keras("read", path=file(layers, KERAS2), arch=f"{code}:{model}")
    assert [digest[2] for digest in found["digests"]] == [sha(A), sha(B), sha(C)]
    assert said in found["said"][0] if said else not found["said"]


def test_a_layer_without_its_list_of_weights_is_refused(refusal, code, file):
    path = file(dense("first", "second", "third"), KERAS2)
    with h5py.File(path, "r+") as opened:
        del opened["second"].attrs["weight_names"]
    refusal("the layer 'second' there has no list of its weights", path=path, arch=f"{code}:named")


def test_sizes_decide_between_numbers_and_order(read):
    """An alphabetical list has dense_10 before dense_9."""
    wide, narrow = np.ones((4, 3), "float32"), np.ones((3, 5), "float32")
    assert read("sized", dense("dense_10", "dense_9", of=(narrow, wide)), KERAS2) == [sha(wide), sha(narrow)]


def test_words_of_keras_1_count_not_their_order(read):
    words = {"beta": BIAS, "gamma": SPREAD, "running_mean": MEAN, "running_std": BIAS + 1}
    found = read("normalized", {"batchnormalization_1": {f"batchnormalization_1_{w}:0": v for w, v in words.items()}})
    assert found == [sha(SPREAD), sha(BIAS), sha(MEAN), sha(BIAS + 1)]
    gates = {f"lstm_1_{letter}_{gate}_1:0": random_of(letter, gate) for letter in "WUb" for gate in "cfio"}
    found = read("recurrent", {"lstm_1": gates})
    assert found == [sha(np.concatenate([random_of(letter, gate) for gate in "ifco"], axis=-1)) for letter in "WUb"]


def test_statistics_within_a_nested_model(read):
    """They are behind all that can be trained."""
    words = {"a/kernel": A, "bn/gamma": BIAS, "bn/beta": MEAN, "c/kernel": C, "bn/moving_mean": SPREAD}
    weights = {f"{word}:0": values for word, values in {**words, "bn/moving_variance": SPREAD + 1}.items()}
    expected = [sha(values) for values in (A, BIAS, MEAN, SPREAD, SPREAD + 1, C)]
    assert read("normalized_within", {"model_1": weights}, KERAS2) == expected


def random_of(letter, gate):
    shape = {"W": (2, 3), "U": (3, 3), "b": (3,)}[letter]
    return np.random.default_rng(ord(letter) + ord(gate)).normal(size=shape).astype("float32")


def test_dots_in_names(read):
    name = "block.1_dense"
    assert read("one", {name: {f"{name}/bias:0": BIAS, f"{name}/{K}": A}}, KERAS2) == [sha(A), sha(BIAS)]


OLD = "convolution2d_1"
TURNED, THEANO = sha(KERNEL[::-1, ::-1]), {"keras_version": "2.0.5", "backend": "theano"}


@pytest.mark.parametrize(
    ("end", "told", "asked", "expected", "said"),
    [
        (":0", None, None, sha(KERNEL), None),
        (
            "",
            None,
            None,
            TURNED,
            "as Theano wrote them (the names of its weights don't end in :0, as TensorFlow's would)",
        ),
        (
            ":0",
            None,
            "theano",
            TURNED,
            "(--backend theano): turned over, for Theano convolves where TensorFlow correlates.",
        ),
        ("", None, "tensorflow", sha(KERNEL), None),
        (":0", THEANO, None, TURNED, None),
        (":0", {**THEANO, "backend": "cntk"}, None, sha(KERNEL), None),
    ],
)
def test_the_backend_that_wrote_kernels(keras, code, file, end, told, asked, expected, said):
    weights = {f"{OLD}_{word}{end}": values for word, values in (("W", KERNEL), ("b", np.ones(3, "float32")))}
    how = {"backend": asked} if asked else {}
    found = keras("read", path=file({OLD: weights}, told), arch=f"{code}:image", **how)
    assert found["digests"][0][2] == expected
    assert said in found["said"][0] if said else not found["said"]


@pytest.mark.parametrize(("backend", "step"), [({}, -1), ({"backend": "tensorflow"}, 1)], ids=["Theano", "TensorFlow"])
def test_a_numbered_file_of_either_backend(keras, backend, step):
    path = Path(__file__).parent / "old" / "numbers_by_0_3_3.h5"
    with h5py.File(path) as file:
        kernel = file["layer_0/param_0"][()].transpose(2, 3, 1, 0)[:, 0]
    found = keras("read", path=path, arch=path.with_suffix(".json"), **backend)
    assert found["digests"][0][2] == sha(kernel[::step])


SQUARE = KERNEL[..., :2]
GATES = np.concatenate([KERNEL, KERNEL[..., :1]], axis=-1)
RECURRENT = GATES[:, :, :1]


@pytest.mark.parametrize(
    ("model", "weights", "told", "expected"),
    [
        pytest.param("image", {"c/kernel": KERNEL, "c/bias": MEAN[:3]}, None, KERNEL, id="no :0 since Keras 3"),
        pytest.param("grown", {"c/kernel:0": SQUARE, "c/bias:0": MEAN[:2]}, None, SQUARE, id="turned by Keras 1"),
        pytest.param(
            "image_first", {"c_W": KERNEL, "c_b": MEAN[:3]}, None, KERNEL[::-1, ::-1], id="channels last in the file"
        ),
    ],
)
def test_how_kernels_lie_in_a_file(read, model, weights, told, expected):
    assert read(model, {"c": weights}, told)[0] == sha(expected)


def test_where_theano_padded_otherwise_is_told(keras, code, file):
    weights = {"c/kernel": GATES, "c/recurrent_kernel": RECURRENT}
    found = keras("read", path=file({"c": weights}, THEANO), arch=f"{code}:frames")
    assert found["digests"][0][2] == sha(GATES[::-1, ::-1])
    assert "where windows are even or strided, as in c (ConvLSTM2D)" in found["said"][0].replace("conv_lstm2d", "c")


def test_a_backend_is_not_asked_of_files_that_say_it(refusal, code, file):
    path = file(dense("first", "second", "third"), KERAS2)
    refusal("says itself that tensorflow wrote it", path=path, arch=f"{code}:named", backend="theano")


def test_a_normalization_of_an_unknown_keras_1_is_told(keras, code, file):
    weights = {f"bn_{word}:0": BIAS for word in ("gamma", "beta", "running_mean", "running_std")}
    (said,) = keras("read", path=file({"bn": weights}), arch=f"{code}:normalized")["said"]
    assert said.startswith(
        "The file does not say by which Keras: batch_normalization (BatchNormalization) is read as of"
    )
