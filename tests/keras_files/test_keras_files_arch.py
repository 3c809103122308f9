"""Architectures from the user's code and from --mlp, and what is said when they don't fit the weights."""

import h5py
import numpy as np
import pytest
from keras2_files import legacy_weights, sha

ARCH = """
import keras
from keras import layers
from neighbour import UNITS


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(UNITS, activation="relu"), layers.Dense(2)]
        self.norm = layers.BatchNormalization()

    def call(self, x):
        return self.blocks[1](self.norm(self.blocks[0](x)))


def build():
    model = Net()
    model(keras.ops.zeros((1, 4)))
    return model

def unbuilt():
    return Net()

def mlp():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dense(5), layers.Dense(3)])
    model.compile("adam", "mse")
    return model

def narrow():
    return keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dense(4), layers.Dense(3)])

def short():
    return keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dense(3)])

def lazy():
    return keras.Sequential([layers.Dense(5), layers.Dense(5), layers.Dense(3)])

def half():
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, dtype="float16"), layers.Dense(5), layers.Dense(3)])

def needs(width, depth=3): ...
def nothing(): ...
def fails():
    return {}["no"]

number = 3
"""


@pytest.fixture(scope="module")
def arch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arch")
    (folder / "net.py").write_text(ARCH)
    (folder / "neighbour.py").write_text("UNITS = 3\n")
    (folder / "broken.py").write_text("def build(:\n")
    return folder / "net.py"


def test_a_subclassed_model_comes_from_its_code(keras, arch, tmp_path):
    layers = {"dense": [(4, 3), (3,)], "dense_1": [(3, 2), (2,)], "batch_normalization": [(3,)] * 4}
    rng = np.random.default_rng(2)
    weights = {name: [rng.random(shape, np.float32) for shape in shapes] for name, shapes in layers.items()}
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        words = {
            1: ["alpha"],
            2: ["kernel:0", "bias:0"],
            4: ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"],
        }
        legacy_weights(file, {n: dict(zip(words[len(w)], w, strict=True)) for n, w in weights.items()})
    keras("rewrite", path=path, arch=f"{arch}:build", to=tmp_path / "net.weights.h5")
    first = keras("read", path=path, arch=f"{arch}:build")["digests"]
    assert keras("read", path=tmp_path / "net.weights.h5", arch=f"{arch}:build")["digests"] == first
    assert sorted(d[2] for d in first) == sorted(sha(w) for group in weights.values() for w in group)
    assert not list(arch.parent.rglob("*.pyc")), "the folder of the user's code is left as it was"


def test_code_can_describe_a_full_file_too(keras, made, arch):
    folder, truth = made("mlp")
    for file in ("model.keras", "model.h5"):
        got = keras("read", path=folder / file, arch=f"{arch}:mlp")
        assert got["digests"] == truth["digests"]
        assert not got["compiled"]


def test_a_sequential_without_input_takes_its_width_from_the_first_kernel(keras, made, arch):
    folder, truth = made("mlp")
    for file in ("only.h5", "model.weights.h5"):
        assert keras("read", path=folder / file, arch=f"{arch}:lazy")["digests"] == truth["digests"]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (
            "unbuilt",
            r"--arch .*net.py:unbuilt: the model 'net' \(Net\) has no input shape yet.*\nBegin it with keras.Input",
        ),
        ("needs", r"net.py:needs: it needs width, and bridge calls it without arguments"),
        ("nothing", r"net.py:nothing: returned nothing \(is a return missing\?\), expected a keras.Model"),
        ("fails", r"net.py:fails: raised KeyError: 'no' \(line 45\)"),
        ("number", r"net.py has no function or class 'number'. It has: Net, build, unbuilt, mlp"),
        ("absent", r"net.py has no function or class 'absent'. It has: Net, build, unbuilt, mlp"),
        (
            "short",
            r"only.h5: holds weights for 3 layers, the architecture has 2 .*with weights. Only in the file: dense_2",
        ),
        (
            "narrow",
            r"^dense_1 \(Dense\): kernel is \(5, 5\) in only.h5, the architecture wants \(5, 4\).\n"
            r"Pass the architecture that these weights were saved from: --arch FILE.py:function$",
        ),
        (
            "half",
            r"dense \(Dense\): kernel is float32 in only.h5, the architecture wants float16: that would change numbers",
        ),
    ],
)
def test_code_that_gives_no_fitting_model_is_told_so(refusal, made, arch, function, text):
    refusal(text, path=made("mlp")[0] / "only.h5", arch=f"{arch}:{function}")


def test_weights_of_the_keras_3_layout_that_do_not_fit_are_told_so(refusal, made, arch):
    path = made("mlp")[0] / "model.weights.h5"
    refusal(
        r"^dense_1 \(Dense\): kernel is \(5, 5\) in model.weights.h5, .* wants \(5, 4\)",
        path=path,
        arch=f"{arch}:narrow",
    )
    refusal(
        r"kernel is \(5, 5\) in model.weights.h5, the architecture wants \(5, 3\)",
        path=path,
        arch=f"{arch}:short",
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("nowhere.py:build", r"nowhere.py: no such file \(the architecture\)"),
        ("net.py", r"--arch .*net.py: expected FILE.py:function or a .json file"),
        ("broken.py:build", r"broken.py: raised SyntaxError: .*\(line 1\)"),
    ],
)
def test_an_architecture_that_can_not_be_read_is_told_so(refusal, made, arch, given, text):
    refusal(text, path=made("mlp")[0] / "only.h5", arch=arch.with_name("x").as_posix()[:-1] + given)


def test_two_architectures_are_one_too_many(refusal, made, arch):
    refusal("--arch and --mlp both say", path=made("mlp")[0] / "only.h5", arch=f"{arch}:mlp", mlp="6-5-5-3")


def test_weights_alone_ask_for_an_architecture_and_propose_one(refusal, made):
    for file in ("only.h5", "model.weights.h5"):
        refusal(r"holds weights alone.*\nPass --mlp 6-5:\?-5:\?-3:\? with an activation", path=made("mlp")[0] / file)
        said = refusal(r"holds weights alone", path=made("nested")[0] / file)
        assert "--mlp" not in said


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("6-5:relu-4:relu-3", r"dense_1 \(Dense\): kernel is \(5, 5\) in only.h5, --mlp wants \(5, 4\)"),
        ("6-5:relu-3", r"only.h5: holds 3 Dense layers, --mlp has 2.\nThese weights allow --mlp 6-5:\?-5:\?-3:\?"),
        ("6-5:rleu-5-3", r"layer 1 has the activation 'rleu', which Keras does not know.\nKnown: .*relu"),
        ("6-5:?-5-3", r"put the activation of layer 1 in the place of '\?'"),
        ("6-5:Relu-5-3", r"layer 1 is '5:Relu', expected UNITS:ACTIVATION"),
        ("6--3", r"layer 1 is '', expected UNITS:ACTIVATION"),
        ("6", r"has no layer, expected at least one"),
        ("relu-5", r"begins with 'relu', expected the number of input features"),
        ("0-5", r"begins with '0'"),
        ("6 -5", r"begins with '6 '"),
    ],
)
def test_an_mlp_line_is_read_strictly(refusal, made, line, text):
    refusal(text, path=made("mlp")[0] / "only.h5", mlp=line)
