"""Modules of the user's own as source, and what is asked of their mapping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from bridge.graph import Graph
from bridge.graph.probe import probe_inputs
from bridge.torch_side.own_module.convert import Mapping
from bridge.torch_side.run import run
from bridge.torch_side.writing.build import build

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
