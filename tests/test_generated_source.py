"""The source of converted models: what may stand in it, and that no layer in it runs twice."""

import copy
import gc
import sys
import weakref

import numpy as np
import pytest
import torch

from bridge.graph import Graph, Layer, Node, Refused, Value, Weight
from bridge.torch_side.writing.allowed import check
from bridge.torch_side.writing.build import build, taps
from bridge.torch_side.writing.part import literal


def dense(path, units=3, **weight):
    kernel = Weight(f"{path}/kernel", (3, units), **weight)
    return Layer("Dense", path, {"units": units, "use_bias": False}, {"kernel": kernel})


def graph(nodes, outputs, name="net"):
    """A graph of (batch, 3) values from the input x; weights are random."""
    weights = {w.path: w for node in nodes if node.layer for w in node.layer.weights.values()}
    random = np.random.default_rng(0)
    values = {n: Value(n, (None, 3)) for node in nodes for n in [*node.tensors, *node.outputs]}
    return Graph(
        name=name,
        inputs=[Value("x", (None, 3))],
        outputs=[values[o] for o in outputs],
        nodes=nodes,
        weights=weights,
        arrays={p: random.standard_normal(w.shape).astype("f") for p, w in weights.items()},
        values=values,
    )


def node(kind, layer, given, output):
    return Node(output, kind, [given, *(w.path for w in layer.weights.values())], [output], layer)


OUTSIDE = {
    "a module of torch's": "torch.os.system('x')",
    "an alias": "t = torch",
    "through functional": "F.torch.load('x')",
    "a subscript that is called": "[print][0]('1')",
    "a builtin": "exec('1')",
    "a builtin as a value": "x = open",
    "an import": "import os",
    "a private attribute": "x.__class__",
    "a file": "x.numpy().tofile('x')",
    "a lambda": "(lambda: 1)()",
    "torch.load": "torch.load('x')",
    "a comprehension": "[y for y in x]",
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_what_no_model_needs_is_not_executed(case):
    source = f"class Net(nn.Module):\n    def forward(self, x):\n        {OUTSIDE[case]}\n        return x\n"
    with pytest.raises(AssertionError, match="unexpected in a model's source"):
        check(source, set(), set())


@pytest.mark.parametrize("name", ["none", "true", "class", "torch", "nn", "F", "Tensor", "1", "", "import os"])
def test_any_model_name_gives_a_class(name):
    layer = dense("d")
    module = build(graph([node("Dense", layer, "x", "y")], ["y"], name))
    assert module(torch.zeros(2, 3)).shape == (2, 3)


HOSTILE = ['"); import os; ("', "'''", '"""', "\\", "a\nb", "{x}", "{self}", "\ud800", "__class__", "forward", "é🚀"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_names_from_a_file_stay_text(text):
    layer = dense(f"d{text}")
    made = graph([node("Dense", layer, "x", f"y{text}")], [f"y{text}"])
    module = build(made)
    (parameter,) = module.parameters()
    np.testing.assert_array_equal(parameter.detach().numpy().T, made.arrays[f"d{text}/kernel"])
    assert f"y{text}" in taps(module, [torch.zeros(1, 3)])


@pytest.mark.parametrize("value", [1, -2.5, True, None, "a'b\"c\\", (1, (2.0,)), {"a": (1, None)}, "\ud83d", "\u2028"])
def test_a_literal_is_its_value(value):
    assert eval(literal(value)) == value


def test_what_is_no_plain_value_is_no_literal():
    with pytest.raises(TypeError, match="only plain values"):
        literal(object())


def test_a_layer_before_two_outputs_runs_once():
    """z and softmax(z): one dropout mask, one step of statistics, for both."""
    drop = Layer("Dropout", "drop", {"rate": 0.5})
    soft = Layer("Softmax", "soft", {"axis": -1})
    made = graph([node("Dropout", drop, "x", "z"), node("Softmax", soft, "z", "p")], ["z", "p"])
    module = build(made).train()
    torch.manual_seed(0)
    out = module(torch.ones(64, 3))
    torch.testing.assert_close(out["p"], out["z"].softmax(-1))
    logits = module.logits(torch.ones(64, 3))
    assert torch.equal(logits["z"], logits["p"])


def test_an_activity_penalty_counts_each_call():
    layer = Layer("ActivityRegularization", "reg", {"l1": 1.0, "l2": 0.0})
    made = graph([node("ActivityRegularization", layer, "x", n) for n in ("reg", "reg#2")], ["reg", "reg#2"])
    module = build(made)
    assert float(module.penalty()) == 0  # nothing has been computed yet
    module(torch.full((2, 3), 2.0))
    assert float(module.penalty()) == 12
    copy.deepcopy(module)
    with pytest.raises(RuntimeError, match=r"nn\.DataParallel would lose this layer's penalty"):
        module.reg._replicate_for_data_parallel()(torch.ones(2, 3))


def test_only_trained_weights_are_penalized_and_constrained():
    l2 = {"class_name": "L2", "config": {"l2": 0.5}, "registered_name": None}
    unit = {"class_name": "UnitNorm", "config": {"axis": 0}, "registered_name": None}
    layer = dense("d", regularizer=l2, constraint=unit)
    module = build(graph([node("Dense", layer, "x", "y")], ["y"]))
    before = module.d.weight.detach().clone()
    assert float(module.penalty().detach()) == pytest.approx(0.5 * float(before.square().sum()))
    module.d.weight.requires_grad_(False)
    module.constrain()
    assert torch.equal(module.d.weight, before)
    assert float(module.penalty()) == 0
    module.d.weight.requires_grad_(True)
    module.constrain()
    torch.testing.assert_close(module.d.weight.square().sum(1), torch.ones(3), atol=1e-5, rtol=0)


def test_images_may_stand_beside_a_constant_of_five_axes():
    """channels_last is a word for tensors of four axes alone; torch has another one for those of five."""
    options = {"kernel_size": [1, 1], "strides": [1, 1], "dilation_rate": [1, 1], "padding": "valid"}
    layer = Layer("Conv2D", "conv", options, {"kernel": Weight("conv/kernel", (1, 1, 3, 3))})
    made = graph([node("Conv2D", layer, "x", "y"), Node("add", "Add", ["y", "c"], ["z"])], ["z"])
    made.constants["c"] = np.ones((1, 1, 1, 1, 3), np.float32)
    made.values |= {name: Value(name, (None, 2, 2, 3)) for name in ("x", "y")}
    assert build(made)(torch.zeros(5, 2, 2, 3)).shape == (1, 5, 2, 2, 3)


@pytest.mark.parametrize("what", ["regularizer", "constraint"])
def test_a_rule_that_is_not_kerass_is_refused(what):
    unknown = {"class_name": "Mine", "config": {}, "registered_name": None}
    with pytest.raises(Refused, match=f"d/kernel: its {what} 'Mine' is not one of Keras's own"):
        build(graph([node("Dense", dense("d", **{what: unknown}), "x", "y")], ["y"]))


def test_a_module_that_is_gone_leaves_nothing():
    module = build(graph([node("Dense", dense("d"), "x", "y")], ["y"]))
    taps(module, [torch.zeros(1, 3)])
    taps(module, [torch.zeros(1, 3)])
    kept = weakref.ref(type(module))
    made = {name for name in sys.modules if name.startswith("bridge_model_")}
    del module
    gc.collect()
    assert kept() is None
    assert len({name for name in sys.modules if name.startswith("bridge_model_")} & made) <= len(made) - 2
