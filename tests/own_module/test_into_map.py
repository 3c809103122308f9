"""`--map`: which weight goes where, decided by hand, and still proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from own_modules import FC, FC4, MLP, RELU_FC, RUN4, SQUARE, MakeGraph, assert_same_outputs, net_source

from bridge.errors import BridgeError
from bridge.torch_side.own_module.convert import map_into

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
