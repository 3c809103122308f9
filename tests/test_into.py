"""`--into`: Keras weights on a module of the user's own, proved, or refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bridge.errors import BridgeError
from bridge.graph import Graph, Layer, Node, Value, Weight, from_proto, read_proto, to_proto
from bridge.graph.probe import probe_inputs
from bridge.keras_side.client import traced
from bridge.keras_side.source import Source
from bridge.torch_side.own_module.convert import Mapping, convert_into, map_into
from bridge.torch_side.own_module.matching import Matcher, slots_of
from bridge.torch_side.run import run
from bridge.torch_side.writing.build import build
from bridge.torch_side.writing.plan import make_plan

HEAD = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n"
MakeGraph = Callable[..., Graph]


def write_weights(file: Path, layers: dict[str, dict[str, tuple[int, ...]]]) -> Path:
    """A weights-only .h5 in the legacy layout with random weights, variances positive."""
    random = np.random.default_rng(0)
    with h5py.File(file, "w") as opened:
        opened.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            group = opened.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in weights]
            for name, shape in weights.items():
                values = random.normal(0, 0.4, shape).astype("f")
                group[f"{layer}/{name}:0"] = np.abs(values) + 0.1 if name == "moving_variance" else values
    return file


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> MakeGraph:
    """The layered graph of an --mlp with random weights; each is traced once."""
    made: dict[str, Graph] = {}

    def make(spec: str) -> Graph:
        if spec not in made:
            sizes = [int(part.partition(":")[0]) for part in spec.split("-")]
            layers = {
                f"dense_{i}" if i else "dense": {"kernel": (before, after), "bias": (after,)}
                for i, (before, after) in enumerate(pairwise(sizes))
            }
            file = write_weights(tmp_path_factory.mktemp("mlp") / "weights.h5", layers)
            made[spec] = from_proto(traced(Source(str(file), mlp=spec)).proto)
        return made[spec]

    return make


@pytest.fixture(scope="module")
def by_code(tmp_path_factory: pytest.TempPathFactory) -> MakeGraph:
    """The layered graph of Keras code (the body of a function that returns a model) and its weights' shapes."""
    made: dict[str, Graph] = {}

    def make(code: str, layers: dict[str, dict[str, tuple[int, ...]]]) -> Graph:
        if code not in made:
            folder = tmp_path_factory.mktemp("code")
            arch = folder / "arch.py"
            arch.write_text(f"import keras\nfrom keras import layers\n\ndef build():\n    {code}\n")
            file = write_weights(folder / "weights.h5", layers)
            made[code] = from_proto(traced(Source(str(file), arch=f"{arch}:build")).proto)
        return made[code]

    return make


@pytest.fixture
def net(tmp_path: Path) -> Callable[[str], str]:
    """Writes a user's file and gives FILE.py:Net."""

    def write(source: str) -> str:
        (tmp_path / "net.py").write_text(HEAD + source)
        return f"{tmp_path / 'net.py'}:Net"

    return write


def net_source(init: str, forward: str, inputs: str = "x") -> str:
    """A module class Net from the lines of its two functions."""
    lines = "".join(f"        {line.strip()}\n" for line in init.split(";"))
    steps = "".join(f"        {line.strip()}\n" for line in forward.split(";"))
    return (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"{lines}\n    def forward(self, {inputs}):\n{steps}"
    )


FC = "self.fc1 = nn.Linear(6, 5); self.fc2 = nn.Linear(5, 4); self.fc3 = nn.Linear(4, 3)"
RELU_FC = "return F.softmax(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), -1)"
MLP = "6-5:relu-4:relu-3:softmax"
SQUARE = "5-5:relu-5:tanh-5:sigmoid-5:softmax"
FC4 = "; ".join(f"self.fc{i} = nn.Linear(5, 5)" for i in (1, 2, 3, 4))
RUN4 = "return F.softmax(self.fc4(torch.sigmoid(self.fc3(torch.tanh(self.fc2(F.relu(self.fc1(x))))))), -1)"


def moves(mapping: Mapping) -> dict[str, str]:
    return {row["torch"]: f"{row['keras']} {row['move']}" for row in mapping.describe()}


def assert_same_outputs(graph: Graph, mapping: Mapping) -> None:
    inputs = probe_inputs(graph.inputs, rows=3, seed=9)
    expected = run(build(graph), inputs)
    with torch.no_grad():
        found = mapping.module(*(torch.from_numpy(inputs[value.name]) for value in graph.inputs))
    np.testing.assert_allclose(found.numpy(), expected[graph.outputs[0].name], rtol=1e-5, atol=1e-6)


def three(first: str, second: str, third: str) -> dict[str, str]:
    """What each linear layer of the MLP gets."""
    names = {first: "dense", second: "dense_1", third: "dense_2"}
    return {
        f"{torch}.{word}": f"{keras}/{weight}"
        for torch, keras in names.items()
        for word, weight in (("weight", "kernel transpose"), ("bias", "bias identity"))
    }


SAME_NAMES = FC.replace("fc1", "dense").replace("fc2", "dense_1").replace("fc3", "dense_2")
RUN_SAME = RELU_FC.replace("fc1", "dense").replace("fc2", "dense_1").replace("fc3", "dense_2")
FROM_ONE = FC.replace("fc", "dense_")
ACCEPTED = {
    "the same names": (SAME_NAMES, RUN_SAME, ("dense", "dense_1", "dense_2")),
    "names counted from one": (FROM_ONE, RELU_FC.replace("fc", "dense_"), ("dense_1", "dense_2", "dense_3")),
    "names of its own": (FC, RELU_FC, ("fc1", "fc2", "fc3")),
    "a Sequential": (
        "self.net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 4), nn.ReLU(),"
        " nn.Linear(4, 3), nn.Softmax(-1))",
        "return self.net(x)",
        ("net.0", "net.3", "net.5"),
    ),
    "defined in another order": ("; ".join(reversed(FC.split(";"))), RELU_FC, ("fc1", "fc2", "fc3")),
    "names in a part, mixed with others": (
        "self.part = nn.ModuleDict({'dense_2': nn.Linear(4, 3), 'dense': nn.Linear(6, 5)}); self.x = nn.Linear(5, 4)",
        "d = self.part; return F.softmax(d['dense_2'](F.relu(self.x(F.relu(d['dense'](x))))), -1)",
        ("part.dense", "x", "part.dense_2"),
    ),
    "lazy layers": (
        "self.a = nn.LazyLinear(5); self.b = nn.LazyLinear(4); self.c = nn.LazyLinear(3)",
        "return F.softmax(self.c(F.relu(self.b(F.relu(self.a(x))))), -1)",
        ("a", "b", "c"),
    ),
}


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_a_module_that_computes_the_same_gets_each_weight_once(
    case: tuple[str, str, tuple[str, ...]], mlp: MakeGraph, net: Callable[[str], str]
) -> None:
    init, forward, names = case
    mapping = map_into(mlp(MLP), net(net_source(init, forward)))
    assert moves(mapping) == three(*names)
    assert mapping.difference < 1e-6
    assert (mapping.returns, mapping.returns_logits) == ("outputs", False)
    assert_same_outputs(mlp(MLP), mapping)


def test_equal_shapes_defined_in_another_order_are_told_apart(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    shuffled = "; ".join(FC4.split("; ")[i] for i in (2, 0, 3, 1))
    mapping = map_into(mlp(SQUARE), net(net_source(shuffled, RUN4)))
    assert moves(mapping)["fc3.weight"] == "dense_2/kernel transpose"
    assert_same_outputs(mlp(SQUARE), mapping)


def test_misleading_names_give_way_to_the_proof(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    source = net_source(FC4.replace("fc", "dense_"), RUN4.replace("fc", "dense_"))
    mapping = map_into(mlp(SQUARE), net(source))
    assert moves(mapping)["dense_1.weight"] == "dense/kernel transpose"
    assert_same_outputs(mlp(SQUARE), mapping)


def test_shapes_alone_are_enough_where_one_pairing_passes(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    """Layers called through F.linear leave no trace of the order of their use."""
    init = FC4.replace("fc1", "z").replace("fc2", "q").replace("fc3", "b").replace("fc4", "m")
    init = "; ".join(init.split("; ")[i] for i in (1, 3, 2, 0))

    def call(name: str, x: str) -> str:
        return f"F.linear({x}, self.{name}.weight, self.{name}.bias)"

    expression = "x"
    for name, activation in (("z", "F.relu"), ("q", "torch.tanh"), ("b", "torch.sigmoid"), ("m", "torch.softmax")):
        expression = f"{activation}({call(name, expression)}{', -1' if name == 'm' else ''})"
    forward = f"return {expression}"
    mapping = map_into(mlp(SQUARE), net(net_source(init, forward)))
    assert moves(mapping)["z.weight"] == "dense/kernel transpose"
    assert moves(mapping)["m.bias"] == "dense_3/bias identity"
    assert_same_outputs(mlp(SQUARE), mapping)


@pytest.mark.parametrize(("layout", "move"), [("x @ {}", "identity"), ("x @ {}.T", "transpose")])
def test_square_parameters_of_its_own_get_the_layout_that_passes(
    layout: str, move: str, mlp: MakeGraph, net: Callable[[str], str]
) -> None:
    init = "; ".join(
        f"self.w{i} = nn.Parameter(torch.zeros(5, 5)); self.b{i} = nn.Parameter(torch.zeros(5))" for i in (1, 2, 3, 4)
    )
    names = ("F.relu", "torch.tanh", "torch.sigmoid", "lambda x: F.softmax(x, -1)")
    forward = "; ".join(f"x = ({f})({layout.format(f'self.w{i}')} + self.b{i})" for i, f in enumerate(names, 1))
    mapping = map_into(mlp(SQUARE), net(net_source(init, f"{forward}; return x")))
    assert {row["move"] for row in mapping.describe() if row["torch"].startswith("w")} == {move}
    assert_same_outputs(mlp(SQUARE), mapping)


def test_a_module_may_mix_the_layouts(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    init = "self.w = nn.Parameter(torch.zeros(6, 6)); self.b = nn.Parameter(torch.zeros(6)); self.out = nn.Linear(6, 3)"
    mapping = map_into(mlp("6-6:relu-3"), net(net_source(init, "return self.out(F.relu(x @ self.w + self.b))")))
    assert moves(mapping)["w"] == "dense/kernel identity"
    assert moves(mapping)["out.weight"] == "dense_1/kernel transpose"


@pytest.mark.parametrize(
    ("ending", "returns"),
    [("{}", "logits"), ("F.log_softmax({}, -1)", "log_softmax"), ("F.softmax({}, -1)", "outputs")],
)
def test_a_module_may_stop_before_the_softmax_and_that_is_said(
    ending: str, returns: str, mlp: MakeGraph, net: Callable[[str], str]
) -> None:
    logits = "self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))"
    mapping = map_into(mlp(MLP), net(net_source(FC, f"return {ending.format(logits)}")))
    assert mapping.returns == returns
    said = [note for note in mapping.notes if "ends in softmax" in note]
    assert len(said) == (returns != "outputs")


def test_a_bias_that_keras_lacks_becomes_zeros_and_is_reported(by_code: MakeGraph, net: Callable[[str], str]) -> None:
    graph = by_code(
        "first, last = layers.Dense(5, use_bias=False, name='a'), layers.Dense(3, name='b')\n"
        "    return keras.Sequential([layers.Input((6,)), first, last])",
        {"a": {"kernel": (6, 5)}, "b": {"kernel": (5, 3), "bias": (3,)}},
    )
    source = net_source("self.a = nn.Linear(6, 5); self.b = nn.Linear(5, 3)", "return self.b(self.a(x))")
    mapping = map_into(graph, net(source))
    assert mapping.weight_map()["filled"] == {"a.bias": "zeros"}
    assert "a.bias: set to zeros, Keras has no bias there." in mapping.notes
    assert_same_outputs(graph, mapping)


NORM_CODE = (
    "first, last = layers.Dense(5, name='a'), layers.Dense(5, activation='relu', name='b')\n"
    "    return keras.Sequential([layers.Input((6,)), first, layers.BatchNormalization(name='n'), last])"
)
NORM_WEIGHTS = {
    "a": {"kernel": (6, 5), "bias": (5,)},
    "n": {"gamma": (5,), "beta": (5,), "moving_mean": (5,), "moving_variance": (5,)},
    "b": {"kernel": (5, 5), "bias": (5,)},
}
NORM = "self.l1 = nn.Linear(6, 5); self.bn = nn.BatchNorm1d(5, {}); self.l2 = nn.Linear(5, 5)"
RUN_NORM = "return F.relu(self.l2(self.bn(self.l1(x))))"


def test_a_module_in_float64_is_proved_in_float64(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    mapping = map_into(mlp(MLP), net(net_source(FC + "; self.double()", RELU_FC)))
    assert mapping.difference < 1e-12
    assert {tensor.dtype for tensor in mapping.state_dict().values()} == {torch.float64}


def test_many_equal_layers_fail_soon_and_in_few_words(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    init = "self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))"
    forward = "x = [x := torch.sigmoid(layer(x)) for layer in self.layers][-1]; return x"
    with pytest.raises(
        BridgeError, match=r"none of 64 mappings computes .* with the likeliest the outputs differ"
    ) as error:
        map_into(mlp("4" + "-4:tanh" * 12), net(net_source(init, forward)))
    assert "layers.0 still gives what Keras's dense gives before its tanh" in str(error.value)
    assert len(str(error.value)) < 1500


def test_batch_norm_gets_its_statistics_and_its_momentum_is_compared(
    by_code: MakeGraph, net: Callable[[str], str]
) -> None:
    graph = by_code(NORM_CODE, NORM_WEIGHTS)
    mapping = map_into(graph, net(net_source(NORM.format("eps=1e-3"), RUN_NORM)))
    assert moves(mapping)["bn.running_var"] == "n/moving_variance identity"
    assert {row["keras"] for row in mapping.describe() if not row["trainable"]} == {
        "n/moving_mean",
        "n/moving_variance",
    }
    assert mapping.notes == ("bn: momentum is 0.1, Keras's n has 0.01 in torch's meaning.",)
    assert "bn.num_batches_tracked" in mapping.state_dict()
    assert_same_outputs(graph, mapping)


def test_batch_norm_with_torchs_own_epsilon_is_refused_with_the_reason(
    by_code: MakeGraph, net: Callable[[str], str]
) -> None:
    with pytest.raises(BridgeError, match=r"bn: BatchNorm eps is 1e-05, Keras's is 0\.001 in n\.") as error:
        map_into(by_code(NORM_CODE, NORM_WEIGHTS), net(net_source(NORM.format("momentum=0.01"), RUN_NORM)))
    assert len(str(error.value).splitlines()) == 3


def test_a_scale_that_keras_lacks_becomes_ones(by_code: MakeGraph, net: Callable[[str], str]) -> None:
    code = "return keras.Sequential([layers.Input((5,)), layers.BatchNormalization(scale=False, name='n')])"
    graph = by_code(code, {"n": {name: (5,) for name in ("beta", "moving_mean", "moving_variance")}})
    mapping = map_into(graph, net(net_source("self.n = nn.BatchNorm1d(5, 1e-3, 0.01)", "return self.n(x)")))
    assert mapping.weight_map()["filled"] == {"n.weight": "ones"}
    assert mapping.notes == ("n.weight: set to ones, Keras has no scale there.",)
    assert_same_outputs(graph, mapping)


BRANCHES = (
    "i, j = layers.Input((4,), name='left'), layers.Input((4,), name='right')\n"
    "    a, b = layers.Dense(3, name='p')(i), layers.Dense(3, name='q')(j)\n"
    "    return keras.Model([i, j], [layers.Add(name='sum')([a, b]), a])"
)
BRANCH_WEIGHTS = {name: {"kernel": (4, 3), "bias": (3,)} for name in "pq"}
TWO = "self.one = nn.Linear(4, 3); self.two = nn.Linear(4, 3)"


@pytest.mark.parametrize(
    ("inputs", "forward"),
    [
        ("left, right", "a = self.one(left); return a + self.two(right), a"),
        ("right, left", "a = self.one(left); return {'y': a + self.two(right), 'z': a}"),
        ("u, v", "b = self.one(v); a = self.two(u); return [a + b, a]"),
    ],
    ids=["in order", "by name, a dict", "used in another order, a list"],
)
def test_several_inputs_and_outputs(inputs: str, forward: str, by_code: MakeGraph, net: Callable[[str], str]) -> None:
    mapping = map_into(by_code(BRANCHES, BRANCH_WEIGHTS), net(net_source(TWO, forward, inputs)))
    expected = "p" if "self.one(left)" in forward else "q"
    assert moves(mapping)["one.weight"] == f"{expected}/kernel transpose"


SYMMETRIC = (
    "i = layers.Input((4,))\n"
    "    return keras.Model(i, layers.Add()([layers.Dense(3, name='p')(i), layers.Dense(3, name='q')(i)]))"
)


def test_biases_that_may_be_swapped_need_a_map(by_code: MakeGraph, net: Callable[[str], str], tmp_path: Path) -> None:
    graph = by_code(SYMMETRIC, BRANCH_WEIGHTS)
    sizes = {"b2": "3", "w1": "4, 3", "b1": "3", "w2": "4, 3"}
    init = "; ".join(f"self.{name} = nn.Parameter(torch.zeros({size}))" for name, size in sizes.items())
    spec = net(net_source(init, "return x @ self.w1 + self.b1 + x @ self.w2 + self.b2"))
    with pytest.raises(BridgeError, match=r"different mappings compute what the Keras model computes") as error:
        map_into(graph, spec)
    assert "p/kernel (identity) or q/kernel (identity)" in str(error.value)
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"w2": "p/kernel", "b2": "p/bias", "w1": "q/kernel", "b1": "q/bias"}))
    assert moves(map_into(graph, spec, file))["w1"] == "q/kernel identity"


REFUSED = {
    "a wrong activation": (
        FC,
        RELU_FC.replace("F.relu(self.fc2", "torch.tanh(self.fc2"),
        r"the mapping does not compute what the Keras model computes: the outputs differ by 0\.\d+ of their scale\."
        r"\nfc2 still gives what Keras's dense_1 gives before its relu; "
        r"fc3 is the first that differs \(Keras's dense_2\)\. Tried: fc1\.weight: dense/kernel; .*"
        r"\nMend the module, or decide by hand with --map FILE\.json: "
        r'\{"fc1\.weight": "dense/kernel", "fc1\.bias": "dense/bias", \.\.\.\}',
    ),
    "a missing layer": (
        "self.fc1 = nn.Linear(6, 5); self.fc3 = nn.Linear(4, 3)",
        "return self.fc3(self.fc1(x)[:, :4])",
        r"Keras weights without a tensor: dense_1/kernel \(5, 4\), dense_1/bias \(4,\)\.$",
    ),
    "an extra layer": (
        FC + "; self.extra = nn.Linear(7, 7)",
        RELU_FC,
        r"Tensors without a Keras weight: extra\.weight \(7, 7\), extra\.bias \(7,\)\.$",
    ),
    "no bias": (
        FC.replace("5, 4", "5, 4, bias=False"),
        RELU_FC,
        r"Keras weights without a tensor: dense_1/bias \(4,\)\.$",
    ),
    "another size": (
        FC.replace("5, 4", "5, 2"),
        RELU_FC,
        r"without a tensor: dense_1/kernel .*\nTensors without a Keras weight: fc2\.weight \(2, 5\), fc2\.bias \(2,\)",
    ),
    "half precision": (
        FC + "; self.half()",
        "return x",
        r"fc1\.weight is of type float16, which can't hold Keras's float32",
    ),
    "a forward that raises": (FC, "return self.fc9(x)", r"forward of .*: raised AttributeError: .*fc9.* \(line 13\)$"),
    "a forward that returns text": (FC, "return 'y'", r"forward returned str, the Keras model gives one tensor\."),
    "another shape": (
        FC,
        "return self.fc3(self.fc2(self.fc1(x))).sum(-1)",
        r"forward returned \(8,\), the Keras model gives \(8, 3\)\.",
    ),
    "random numbers": (
        FC,
        "return self.fc3(self.fc2(F.dropout(self.fc1(x))))",
        r"another result at each call, in evaluation mode",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_module_that_does_not_compute_the_same_is_refused(
    case: tuple[str, str, str], mlp: MakeGraph, net: Callable[[str], str]
) -> None:
    init, forward, message = case
    with pytest.raises(BridgeError, match=message) as error:
        map_into(mlp(MLP), net(net_source(init, forward)))
    assert len(str(error.value).splitlines()) <= 3


LOADED = {
    "no file": (None, "net.py:Net", r"net\.py: no such file \(your module\)"),
    "no class": (
        "class Other(nn.Module): pass\ndef make(): pass\n",
        "net.py:Net",
        r"function or class 'Net'\. It has: Other, make\.",
    ),
    "arguments": ("class Net(nn.Module):\n    def __init__(self, width): pass\n", "net.py:Net", r"it needs width, and"),
    "raises": ("def Net():\n    raise ValueError('no')\n", "net.py:Net", r"Net: raised ValueError: no \(line 6\)$"),
    "raises on import": ("1 / 0\n", "net.py:Net", r"net\.py: raised ZeroDivisionError: division by zero \(line 5\)$"),
    "a mistake": ("def Net(:\n", "net.py:Net", r"net\.py: raised SyntaxError: invalid syntax \(line 5\)$"),
    "nothing": ("def Net(): pass\n", "net.py:Net", r"nothing \(is a return missing\?\), expected a torch\.nn\.Module"),
    "no module": ("def Net(): return 3\n", "net.py:Net", r"gives an object of type int, expected a torch\.nn\.Module"),
    "no name": ("", "net.py", r"expected FILE\.py:Class"),
    "not Python": (None, "net.txt:Net", r"is not a Python file \(its name must end in \.py\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOADED.values(), ids=LOADED)
def test_a_class_that_cannot_be_made_is_named_with_its_fault(
    case: tuple[str | None, str, str], mlp: MakeGraph, tmp_path: Path
) -> None:
    source, spec, message = case
    if source is not None:
        (tmp_path / "net.py").write_text(HEAD + source)
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(BridgeError, match=message):
        map_into(mlp(MLP), f"{tmp_path}/{spec}")


def test_the_users_folder_shadows_no_package(mlp: MakeGraph, net: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('shadowed')\n")
    (tmp_path / "pieces_of_the_net.py").write_text("from torch import nn\nLinear = nn.Linear\n")
    spec = net(
        "import json\nfrom pieces_of_the_net import Linear\n" + net_source(FC.replace("nn.Linear", "Linear"), RELU_FC)
    )
    assert map_into(mlp(MLP), spec).difference < 1e-6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["json.py", "net.py", "pieces_of_the_net.py"]


LAYERS = {"fc1": "dense", "fc2": "dense_1", "fc3": "dense_2"}
WORDS = {"weight": "kernel", "bias": "bias"}
WHOLE = {f"{fc}.{word}": f"{keras}/{name}" for fc, keras in LAYERS.items() for word, name in WORDS.items()}
MAPS = {
    "not JSON": ("{", r"is not JSON: .*\nExpected: \{"),
    "not an object": ([1], r"expected an object such as"),
    "twice": ('{"a": "b", "a": "c"}', r"'a' is in it twice"),
    "an unknown tensor": ({"fc1.wieght": "dense/kernel"}, r"no tensor 'fc1\.wieght'; near it: fc1\.weight"),
    "an unknown weight": (
        {"fc1.weight": "dense/kernl"},
        r"fc1\.weight: .* no weight 'dense/kernl'; near it: dense/kernel",
    ),
    "nothing near": ({"zzz": "dense/kernel"}, r"your module has no tensor 'zzz'; it has fc1\.weight, fc1\.bias, "),
    "another shape": (
        {"fc2.weight": "dense/kernel"},
        r"fc2\.weight is \(4, 5\), dense/kernel is \(6, 5\) and does not fit",
    ),
    "given twice": ({"tied.bias": "dense/bias", "fc1.bias": "dense/bias"}, r"dense/bias is given to both"),
    "no tensors": (
        {k: v for k, v in WHOLE.items() if k != "fc2.bias"},
        r"lacks the Keras weights dense_1/bias and the",
    ),
    "wrong axes": (
        {"fc1.weight": {"keras": "dense/kernel", "axes": [0, 1]}},
        r"\(6, 5\) and does not fit with these axes",
    ),
    "no axes": (
        {"fc1.weight": {"keras": "dense/kernel", "axes": [0, 2]}},
        r"axes is \[0, 2\], expected an order of \[0, 1\]",
    ),
    "a number": ({"fc1.weight": 3}, r"fc1\.weight has 3, expected a Keras weight as in"),
    "another key": ({"fc1.weight": {"keras": "dense/kernel", "axis": 1}}, r"expected a Keras weight as in"),
}


@pytest.mark.parametrize("case", MAPS.values(), ids=MAPS)
def test_a_map_with_a_mistake_is_refused(
    case: tuple[object, str], mlp: MakeGraph, net: Callable[[str], str], tmp_path: Path
) -> None:
    content, message = case
    file = tmp_path / "map.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(BridgeError, match=message) as error:
        map_into(mlp(MLP), net(net_source(FC + "; self.tied = nn.Linear(2, 5)", RELU_FC)), file)
    assert len(str(error.value).splitlines()) <= 3


def test_a_map_decides_and_is_still_proved(mlp: MakeGraph, net: Callable[[str], str], tmp_path: Path) -> None:
    spec, file = net(net_source(FC4, RUN4)), tmp_path / "map.json"
    layers = ("dense", "dense_1", "dense_2", "dense_3")
    right = {f"fc{i}.bias": f"{keras}/bias" for i, keras in enumerate(layers, 1)}
    right |= {f"fc{i}.weight": {"keras": f"{keras}/kernel", "axes": [1, 0]} for i, keras in enumerate(layers, 1)}
    file.write_text(json.dumps(right))
    assert_same_outputs(mlp(SQUARE), map_into(mlp(SQUARE), spec, file))
    right["fc1.weight"], right["fc2.weight"] = right["fc2.weight"], right["fc1.weight"]
    file.write_text(json.dumps(right))
    with pytest.raises(BridgeError, match=r"the mapping of .*map\.json does not compute what the Keras model computes"):
        map_into(mlp(SQUARE), spec, file)
    right["fc1.weight"] = {"keras": "dense_2/kernel", "axes": [1, 0]}
    file.write_text(json.dumps(right))
    with pytest.raises(BridgeError, match=r"dense_2/kernel is given to both fc\d\.weight and fc\d\.weight"):
        map_into(mlp(SQUARE), spec, file)


def test_the_folder_holds_the_users_state_the_map_and_the_graph(
    mlp: MakeGraph, net: Callable[[str], str], tmp_path: Path
) -> None:
    spec, output = (
        net(net_source(FC + "; self.register_buffer('shift', torch.zeros(1)); self.tied = self.fc1", RELU_FC)),
        tmp_path / "out",
    )
    graph = mlp(MLP)
    mapping = convert_into(graph, spec, output)
    assert sorted(path.name for path in output.iterdir()) == ["map.json", "model.onnx", "model.safetensors"]
    state = load_file(output / "model.safetensors")
    mapping.module.load_state_dict(state, strict=True)
    np.testing.assert_array_equal(state["fc2.weight"].numpy(), graph.arrays["dense_1/kernel"].T)
    written = json.loads((output / "map.json").read_text())
    assert (written["format"], written["into"], written["returns"]) == (1, spec, "outputs")
    assert written["filled"] == {"shift": "own"}
    assert written["tied"] == {"tied.weight": "fc1.weight", "tied.bias": "fc1.bias"}
    assert written["weights"][0] == {
        "keras": "dense/kernel",
        "torch": "fc1.weight",
        "move": "transpose",
        "keras_shape": [6, 5],
        "torch_shape": [5, 6],
        "trainable": True,
    }
    back = from_proto(read_proto(output / "model.onnx"))
    assert all(np.array_equal(back.arrays[path], array) for path, array in graph.arrays.items())
    with pytest.raises(BridgeError, match=r"exists already"):
        convert_into(graph, spec, output)
    convert_into(graph, spec, output, force=True)
    with pytest.raises(BridgeError, match=r"would replace the input"):
        convert_into(graph, spec, tmp_path, force=True)


def test_weights_that_are_not_finite_prove_nothing(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    graph = from_proto(to_proto(mlp(MLP)))
    graph.arrays = {path: array * np.float32("nan") for path, array in graph.arrays.items()}
    with pytest.raises(BridgeError, match=r"gives NaN or infinity, so no mapping can be proved"):
        map_into(graph, net(net_source(FC, RELU_FC)))


def test_a_network_of_a_thousand_layers_finds_its_pairs() -> None:
    names = [f"d{i}" for i in range(1001)]
    weights = {name: Weight(f"{name}/kernel", (2, 2)) for name in names}
    nodes = [
        Node(name, "Dense", [before, f"{name}/kernel"], [name], Layer("Dense", name, {}, {"kernel": weights[name]}))
        for before, name in pairwise(["x", *names])
    ]
    values = {name: Value(name, (None, 2)) for name in ["x", *names]}
    paths = {weight.path: weight for weight in weights.values()}
    plan = make_plan(Graph("deep", [values["x"]], [values["d1000"]], nodes, paths, {}, values=values))
    module = torch.nn.Sequential(*(torch.nn.Linear(2, 2, bias=False) for _ in names))
    candidate = next(Matcher(plan, slots_of(module)).candidates())
    assert candidate.decided
    assert [(a.weight, a.slot.key) for a in candidate.assignments] == [
        (f"d{i}/kernel", f"{i}.weight") for i in range(1001)
    ]
