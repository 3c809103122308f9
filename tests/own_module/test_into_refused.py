"""What `--into` refuses: modules that compute something else, that can't be made, that prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_modules import FC, HEAD, MLP, RELU_FC, MakeGraph, net_source

from bridge.errors import BridgeError
from bridge.graph import from_proto, to_proto
from bridge.torch_side.own_module.convert import map_into


def test_many_equal_layers_fail_soon_and_in_few_words(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    init = "self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))"
    forward = "x = [x := torch.sigmoid(layer(x)) for layer in self.layers][-1]; return x"
    with pytest.raises(
        BridgeError, match=r"none of 64 mappings computes .* with the likeliest the outputs differ"
    ) as error:
        map_into(mlp("4" + "-4:tanh" * 12), net(net_source(init, forward)))
    assert "layers.0 still gives what Keras's dense gives before its tanh" in str(error.value)
    assert len(str(error.value)) < 1500


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


def test_weights_that_are_not_finite_prove_nothing(mlp: MakeGraph, net: Callable[[str], str]) -> None:
    graph = from_proto(to_proto(mlp(MLP)))
    graph.arrays = {path: array * np.float32("nan") for path, array in graph.arrays.items()}
    with pytest.raises(BridgeError, match=r"gives NaN or infinity, so no mapping can be proved"):
        map_into(graph, net(net_source(FC, RELU_FC)))
