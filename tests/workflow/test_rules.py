"""`--rules`: a layer of the user's own stays one node, arrives as their torch module, and goes home bit for bit."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import checker
from parity_files import write_h5

import bridge as api
from bridge.data import Data
from bridge.graph import from_proto, read_proto
from bridge.graph.changes.inner import inner_nodes
from bridge.graph.own_layers import with_rules
from bridge.torch_side.writing.build import build

LAYERS = '''
import keras
from keras import ops


@keras.saving.register_keras_serializable("demo")
class ScaledDense(keras.layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel", regularizer="l2")
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x):
        return ops.matmul(x, self.kernel) * ops.softplus(self.scale) + self.bias

    def get_config(self):
        return super().get_config() | {"units": self.units}


class Gate(keras.layers.Layer):
    """Two inputs, two outputs, a layer within, a mean that training moves, an option of the call."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.width = width
        self.inner = keras.layers.Dense(width, name="inner")

    def build(self, shapes):
        self.inner.build(shapes[0])
        self.mean = self.add_weight(shape=(self.width,), trainable=False, initializer="zeros", name="mean")

    def call(self, x, sharp=False, training=False):
        a, b = x
        y = self.inner(a) - self.mean
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(self.inner(a), 0))
        return ops.sigmoid(y * (4.0 if sharp else 1.0)) * b, y


class Repeated(keras.layers.Layer):
    """A layer with a rule, called in a loop."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = ScaledDense(16, name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return ops.fori_loop(0, 2, lambda i, h: ops.tanh(self.inner(h)), x)


def build():
    x = keras.Input((8,), name="x")
    scaled = ScaledDense(16, name="scaled")
    h = keras.layers.ReLU()(scaled(x))
    g, y = Gate(16, name="gate")([h, h], sharp=True)
    again = ScaledDense(16, name="twice")
    h = Repeated(name="repeated")(again(again(g)))
    outputs = {"out": keras.layers.Dense(3, name="head")(h), "side": y}
    return keras.Model(x, outputs, name="mine")
'''
RULES = '''
import bridge


@bridge.body("demo>ScaledDense")
def scaled_dense_body(layer, shapes):
    """y = (x @ kernel) * softplus(scale) + bias."""
    return """
        product = MatMul(x, kernel)
        factor = Softplus(scale)
        scaled = Mul(product, factor)
        y = Add(scaled, bias)
    """


@bridge.rule("demo>ScaledDense")
def scaled_dense(layer, shapes):
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    def factor(scale: Tensor) -> Tensor:
        return F.softplus(scale)

    class ScaledDense(nn.Linear):
        """y = (x @ weight.T) * softplus(scale) + bias."""

        def __init__(self, features: int, units: int) -> None:
            super().__init__(features, units)
            self.scale = nn.Parameter(torch.ones(units))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight) * factor(self.scale) + self.bias

    features, units = layer.weights["kernel"].shape
    weights = {"weight": bridge.Take("kernel", axes=(1, 0)), "scale": bridge.Take("scale"), "bias": bridge.Take("bias")}
    return bridge.Part(bridge.New(ScaledDense, features, units), weights=weights)


@bridge.body("Gate")
def gate_body(layer, shapes):
    return f"""
        product = MatMul(x0, inner_kernel)
        shifted = Add(product, inner_bias)
        y1 = Sub(shifted, mean)
        f = Constant <value_float = {4.0 if layer.config["call"]["sharp"] else 1.0}> ()
        sharpened = Mul(y1, f)
        gate = Sigmoid(sharpened)
        y = Mul(gate, x1)
    """


@bridge.rule("Gate")
def gate(layer, shapes):
    from gate_module import Gate

    features, width = layer.weights["inner/kernel"].shape
    weights = {"inner.weight": bridge.Take("inner/kernel", (1, 0)), "inner.bias": bridge.Take("inner/bias")}
    module = bridge.New(Gate, features, width, 4.0 if layer.config["call"]["sharp"] else 1.0)
    return bridge.Part(module, weights=weights | {"mean": bridge.Take("mean")}, call="{self}({0}, {1})")
'''
GATE = """
import torch
from torch import Tensor, nn


class Gate(nn.Module):
    def __init__(self, features, width, sharpness):
        super().__init__()
        self.inner, self.sharpness = nn.Linear(features, width), sharpness
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, a, b):
        linear = self.inner(a)
        y = linear - self.mean
        if self.training:
            self.mean.copy_(0.9 * self.mean + 0.1 * linear.detach().mean(0))
        return torch.sigmoid(y * self.sharpness) * b, y
"""


@pytest.fixture(scope="module")
def files(bridge, tmp_path_factory):
    """A folder with the user's files, a Keras file, and out, the bridge folder that came from it."""
    folder = tmp_path_factory.mktemp("rules")
    for name, text in (("layers.py", LAYERS), ("rules.py", RULES), ("gate_module.py", GATE)):
        (folder / name).write_text(text)
    scaled = {"kernel": (8, 16), "scale": (16,), "bias": (16,)}
    shapes = {"scaled": scaled, "gate": {"mean": (16,), "inner/kernel": (16, 16), "inner/bias": (16,)}}
    square = scaled | {"kernel": (16, 16)}
    shapes |= {"twice": square, "repeated": {f"inner/{word}": shape for word, shape in square.items()}}
    shapes |= {"head": {"kernel": (16, 3), "bias": (3,)}}
    write_h5(folder / "w.h5", shapes)
    how = ("--arch", f"{folder / 'layers.py'}:build", "--rules", folder / "rules.py")
    result = bridge("convert", "keras2torch", folder / "w.h5", *how, "-o", folder / "first")
    assert result.code == 0, result.err
    how = ("--custom", folder / "layers.py", "--rules", folder / "rules.py")
    for words in (
        ("torch2keras", folder / "first", *how, "-o", folder / "mine.keras"),
        ("keras2torch", folder / "mine.keras", *how, "-o", folder / "out"),
    ):
        result = bridge("convert", *words)
        assert result.code == 0, result.err
    return folder


def arrays(file):
    """The weights; what else is constant in a loop has names by its conversion."""
    return {path: array.tobytes() for path, array in from_proto(read_proto(file)).arrays.items()}


def given(files):
    return ("--custom", files / "layers.py", "--rules", files / "rules.py")


def test_each_layer_is_one_node_and_one_module_of_the_users(files):
    proto = read_proto(files / "out" / "model.onnx")
    checker.check_model(proto, full_check=True)
    own = [node.op_type for node in inner_nodes(proto.graph) if node.domain == "keras.own"]
    assert own == ["ScaledDense", "Gate", "ScaledDense", "ScaledDense", "ScaledDense"]
    module = api.load(files / "out", rules=files / "rules.py")
    assert isinstance(module.scaled, torch.nn.Linear)
    assert isinstance(module.gate.inner, torch.nn.Linear)
    assert type(module.scaled) is type(module.twice) is type(module.repeated.inner)
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {"scaled.weight", "scaled.scale", "scaled.bias", "gate.inner.weight", "repeated.inner.scale"} <= trained
    assert "gate.mean" in dict(module.named_buffers())


def test_model_py_has_copies_of_the_users_classes_and_stands_alone(files):
    code = "import sys, torch; sys.path.insert(0, sys.argv[1]); import model\n"
    code += "print(model.load()(torch.linspace(-1, 1, 24).reshape(3, 8))['out'].sum().item())"
    command = [sys.executable, "-I", "-c", code, files / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    module = api.load(files / "out", rules=files / "rules.py")
    with torch.no_grad():
        expected = module(torch.linspace(-1, 1, 24).reshape(3, 8))["out"].sum().item()
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)
    text = (files / "out" / "model.py").read_text()
    assert text.count("class ScaledDense") == 1
    assert "def factor(scale: Tensor)" in text


def test_it_trains_as_keras_does_and_goes_home_bit_for_bit(bridge, files, tmp_path):
    result = bridge("parity", files / "mine.keras", files / "out", *given(files), "--train-steps", 10)
    assert result.code == 0, result.out + result.err
    result = bridge("convert", "torch2keras", files / "out", *given(files), "-o", tmp_path / "home.keras")
    assert result.code == 0, result.err
    result = bridge("parity", files / "mine.keras", tmp_path / "home.keras", files / "out", *given(files))
    assert result.code == 0, result.out + result.err
    result = bridge("convert", "keras2onnx", tmp_path / "home.keras", *given(files), "-o", tmp_path / "home.onnx")
    assert result.code == 0, result.err
    assert arrays(tmp_path / "home.onnx") == arrays(files / "out" / "model.onnx")


def test_every_command_that_runs_torch_asks_for_the_rules(bridge, files, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((9, 8), np.float32), y_out=np.ones((9, 3)), y_side=np.ones((9, 16)))
    for words in (
        ("finetune", files / "out", "--data", tmp_path / "d.npz", "-o", tmp_path / "t"),
        ("convert", "torch2onnx", files / "out", "-o", tmp_path / "t.onnx"),
        ("convert", "torch2keras", files / "out", "--custom", files / "layers.py", "-o", tmp_path / "t.keras"),
    ):
        result = bridge(*words)
        assert result.code == 2, words
        assert "scaled (demo>ScaledDense): it is a layer of your own" in result.err
        assert "gate (Custom>Gate)" in result.err, "all of them at once"
        assert "--rules FILE.py" in result.err
    assert [file.name for file in tmp_path.iterdir()] == ["d.npz"]
    result = bridge("inspect", files / "out")
    assert "demo>ScaledDense" in result.out
    assert "needs your rules for ScaledDense, Gate: --rules FILE.py" in result.out
    assert bridge("eval", files / "out", "--data", tmp_path / "d.npz").code == 0, "the bodies are in the file"


def test_a_folder_is_fine_tuned_with_them(files, tmp_path):
    random = np.random.default_rng(1)
    targets = {"out": random.normal(size=(32, 3)), "side": random.normal(size=(32, 16))}
    data = Data({"x": random.normal(size=(32, 8)).astype(np.float32)}, targets, "made")
    done = api.finetune(files / "out", data, tmp_path / "t", epochs=1, validation=None, rules=files / "rules.py")
    api.save(done.module, tmp_path / "saved")  # the module remembers its rules
    again = api.finetune(done.module, data, epochs=1, validation=None)
    assert isinstance(again.module.scaled, torch.nn.Linear)


FAULTS = [  # of the file, of a body, of a rule
    ("@bridge.body", "import torch\n\n\n@bridge.body", r"imports torch at its top \(line 5\), but it is read beside"),
    ("import bridge", "import bridge\nprint(1 / 0)", r"rules.py: raised ZeroDivisionError: .*\(line 3\)"),
    ('@bridge.body("demo>ScaledDense")', "", r"has a rule for demo>ScaledDense and no body"),
    ('@bridge.rule("Gate")', '@bridge.rule("demo>ScaledDense")', r"has two of @bridge.rule: scaled_dense"),
    (
        "Softplus(scale)",
        "Softplus(scales)",
        r"body\) takes scales, which nothing gives; its inputs are x, kernel, scale",
    ),
    ("Softplus(scale)", "Sofplus(scale)", r"has Sofplus, which is no standard operator of ONNX opset 18"),
    ("Softplus(scale)", "Softplus scale", r"scaled_dense_body\) is no ONNX text that can be read: "),
    ("y = Add(scaled", "z = Add(scaled", r"scaled_dense_body\) does not give y"),
    ('call"]["sharp"]', 'call"]["dull"]', r"gate_body\): raised KeyError: 'dull' \(line \d+\)"),
    ("return F.linear", "return no.linear", r"ScaledDense uses no, and is copied into model.py"),
    (
        "torch.ones(units)",
        "torch.ones(1)",
        r"ScaledDense: scale is \(1,\); scale \(16,\) is \(16,\) in torch by its rule",
    ),
    ("self.scale = nn.P", "self.other = nn.P", r"has the tensor other, which no weight of it becomes"),
    ("bridge.New(ScaledDense, features, units)", "bridge.New(len)", r"expected a class of torch modules"),
    (
        '"scale": bridge.Take("scale"), ',
        "",
        r"must use each of its weights once: they are kernel \(8, 16\), scale \(16,\)",
    ),
    (
        'Take("scale")',
        'Take("scale", (1, 0))',
        r"takes scale for scale by transpose, which does not fit its shape \(16,\)",
    ),
    ("return bridge.Part(bridge.New(S", "bridge.Part(bridge.New(S", r"gives nothing \(is a return missing\?\)"),
    ('layer.weights["kernel"].shape', 'layer.weights["k"].shape', r"scaled_dense\): raised KeyError: 'k' \(line \d+\)"),
]


@pytest.mark.parametrize(("old", "new", "said"), FAULTS, ids=range(len(FAULTS)))
def test_what_is_wrong_with_a_rule_is_said(files, tmp_path, old, new, said):
    assert old in RULES
    (tmp_path / "rules.py").write_text(RULES.replace(old, new, 1))
    (tmp_path / "gate_module.py").write_text(GATE)
    graph = from_proto(read_proto(files / "out" / "model.onnx"))
    with pytest.raises(api.BridgeError, match=said):
        build(with_rules(graph, tmp_path / "rules.py"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("import bridge", "import bridge\nimport gate_module", r"imports torch at its top, by a file that it imports"),
        (
            "Softplus(scale)",
            "Exp(scale)",
            r"ONNX Runtime and Keras differ .*\n.*your rule .*asked for scaled \(demo>ScaledD",
        ),
        ("MatMul(x, kernel)", "MatMul(kernel, x)", r"ONNX Runtime can't run it with your bodies of demo>ScaledDense"),
        (
            "* factor(self.scale)",
            "/ factor(self.scale)",
            r"torch and Keras differ .*\n.*Does your rule compute what your",
        ),
        ("F.linear(x, self.weight)", "F.linear(x, self.weigth)", r"with your own rules fails: AttributeError: "),
    ],
)
def test_a_rule_that_computes_something_else_writes_nothing(bridge, files, tmp_path, old, new, said):
    assert old in RULES
    (tmp_path / "rules.py").write_text(RULES.replace(old, new, 1))
    (tmp_path / "gate_module.py").write_text(GATE)
    how = ("--custom", files / "layers.py", "--rules", tmp_path / "rules.py")
    result = bridge("convert", "keras2torch", files / "mine.keras", *how, "-o", tmp_path / "out")
    assert result.code in (1, 2)
    assert re.search(said, result.err), result.err
    assert not (tmp_path / "out").exists()


def test_rules_that_changed_since_the_conversion_are_refused(bridge, files, tmp_path):
    (tmp_path / "rules.py").write_text(RULES.replace("Mul(product, factor)", "Mul(factor, product)"))
    (tmp_path / "gate_module.py").write_text(GATE)
    result = bridge("convert", "torch2onnx", files / "out", "--rules", tmp_path / "rules.py", "-o", tmp_path / "t.onnx")
    assert result.code == 2
    assert "is not the one that it was converted with" in result.err


def test_rules_for_no_layer_of_the_model_are_a_mistake(bridge, files, tmp_path):
    (tmp_path / "rules.py").write_text('import bridge\n\n\n@bridge.body("Other")\ndef other(layer, shapes): ...\n')
    how = ("--custom", files / "layers.py", "--rules", tmp_path / "rules.py")
    result = bridge("convert", "keras2onnx", files / "mine.keras", *how, "-o", tmp_path / "m.onnx")
    assert result.code == 2
    assert "Classes of its own that it has: Custom>Gate, Custom>Repeated, demo>ScaledDense" in result.err


def test_readmes_example_runs(bridge, tmp_path, monkeypatch):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    for name in ("layers.py", "rules.py"):
        Path(name).write_text(re.search(rf"```python\n(# {name}\n.*?)```", readme, re.DOTALL)[1])
    write_h5("w.h5", {"scaled": {"kernel": (8, 16), "scale": (16,)}, "head": {"kernel": (16, 3), "bias": (3,)}})
    np.savez("mine.npz", x=np.random.default_rng(0).random((99, 8)), y=np.random.default_rng(1).random((99, 3)))
    # what the line with python -c does in README
    assert bridge("convert", "keras2torch", "w.h5", "--arch", "layers.py:build", "-o", "first").code == 0
    assert bridge("convert", "torch2keras", "first", "--custom", "layers.py", "-o", "mine.keras").code == 0
    for line in re.search(r"```sh\n(bridge convert keras2torch mine.*?)```", readme, re.DOTALL)[1].splitlines():
        result = bridge(*line.split()[1:])
        assert result.code == 0, (line, result.err)


def test_the_decorators_leave_a_function_as_it_is_where_no_rules_are_read():
    assert api.body("Any")(len) is len
    with pytest.raises(api.BridgeError, match="expected the name of a layer class"):
        api.rule(len)
