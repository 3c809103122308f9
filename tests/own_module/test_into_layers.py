"""`--into` where the layers differ: biases and scales that Keras lacks, batch norm, several inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from own_modules import MakeGraph, assert_same_outputs, moves, net_source

from bridge.errors import BridgeError
from bridge.torch_side.own_module.convert import map_into


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
