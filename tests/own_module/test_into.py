"""`--into`: Keras weights on a module of the user's own, proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from own_modules import FC, FC4, MLP, RELU_FC, RUN4, SQUARE, MakeGraph, assert_same_outputs, moves, net_source
from safetensors.torch import load_file

from bridge.errors import BridgeError
from bridge.graph import Graph, Layer, Node, Value, Weight, from_proto, read_proto
from bridge.torch_side.own_module.convert import convert_into, map_into
from bridge.torch_side.own_module.matching import Matcher, slots_of
from bridge.torch_side.writing.plan import make_plan


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


def test_a_module_in_float64_is_proved_in_float64(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    mapping = map_into(mlp(MLP), net(net_source(FC + "; self.double()", RELU_FC)))
    assert mapping.difference < 1e-12
    assert {tensor.dtype for tensor in mapping.state_dict().values()} == {torch.float64}


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
