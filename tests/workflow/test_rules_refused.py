"""What `--rules` refuses: files, bodies and rules with a mistake, and those that compute something else."""

import re

import pytest

import bridge as api
from bridge.graph import from_proto, read_proto
from bridge.graph.own_layers import with_rules
from bridge.torch_side.writing.build import build

from .rules_files import GATE, RULES

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
def test_what_is_wrong_with_a_rule_is_said(ruled, tmp_path, old, new, said):
    assert old in RULES
    (tmp_path / "rules.py").write_text(RULES.replace(old, new, 1))
    (tmp_path / "gate_module.py").write_text(GATE)
    graph = from_proto(read_proto(ruled / "out" / "model.onnx"))
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
def test_a_rule_that_computes_something_else_writes_nothing(bridge, ruled, tmp_path, old, new, said):
    assert old in RULES
    (tmp_path / "rules.py").write_text(RULES.replace(old, new, 1))
    (tmp_path / "gate_module.py").write_text(GATE)
    how = ("--custom", ruled / "layers.py", "--rules", tmp_path / "rules.py")
    result = bridge("convert", "keras2torch", ruled / "mine.keras", *how, "-o", tmp_path / "out")
    assert result.code in (1, 2)
    assert re.search(said, result.err), result.err
    assert not (tmp_path / "out").exists()


def test_rules_that_changed_since_the_conversion_are_refused(bridge, ruled, tmp_path):
    (tmp_path / "rules.py").write_text(RULES.replace("Mul(product, factor)", "Mul(factor, product)"))
    (tmp_path / "gate_module.py").write_text(GATE)
    result = bridge("convert", "torch2onnx", ruled / "out", "--rules", tmp_path / "rules.py", "-o", tmp_path / "t.onnx")
    assert result.code == 2
    assert "is not the one that it was converted with" in result.err


def test_rules_for_no_layer_of_the_model_are_a_mistake(bridge, ruled, tmp_path):
    (tmp_path / "rules.py").write_text('import bridge\n\n\n@bridge.body("Other")\ndef other(layer, shapes): ...\n')
    how = ("--custom", ruled / "layers.py", "--rules", tmp_path / "rules.py")
    result = bridge("convert", "keras2onnx", ruled / "mine.keras", *how, "-o", tmp_path / "m.onnx")
    assert result.code == 2
    assert "Classes of its own that it has: Custom>Gate, Custom>Repeated, demo>ScaledDense" in result.err
