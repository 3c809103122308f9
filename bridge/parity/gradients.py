"""Are torch's gradients TensorFlow's?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bridge.folder import read_graph
from bridge.graph.probe import probe_of
from bridge.keras_side.client import ask
from bridge.keras_side.source import Paths, Source, listed
from bridge.parity.arrays import RTOL, difference
from bridge.parity.inputs import check_rtol, check_seed
from bridge.parity.pair import keras_and_torch
from bridge.process import worker


@dataclass(frozen=True)
class GradientReport:
    """errors: each trained weight's gradient in torch beside TensorFlow's, scale-relative; NaN for a fault."""

    rtol: float
    errors: dict[str, float]

    @property
    def ok(self) -> bool:
        return bool(self.errors) and all(error <= self.rtol for error in self.errors.values())


def compare_gradients(
    files: Sequence[str | Path],
    *,
    arch: str | None = None,
    mlp: str | None = None,
    unsafe: bool = False,
    from_layer: str | Iterable[str] = (),
    custom: Paths = (),
    rules: Paths = (),
    signature: str | None = None,
    backend: str | None = None,
    rows: int = 16,
    seed: int = 0,
    rtol: float = RTOL,
    double: bool = False,
) -> GradientReport:
    """Compares the gradient of a random sum of the outputs for every trained weight, in inference mode.

    files: one Keras file and one bridge folder or layered .onnx file, in any order. double: in float64, where no
    rounding hides a fault, or looks like one.
    """
    check_rtol(rtol)
    check_seed(seed)
    keras, folder = keras_and_torch(files)
    graph = read_graph(folder)
    inputs = probe_of(graph, rows, seed)
    source = asdict(Source(keras, arch, mlp, unsafe, listed(from_layer), listed(custom), (), signature, backend))
    found = ask("run", source=source, inputs=inputs)["outputs"]
    random = np.random.default_rng(seed)
    directions = {name: random.standard_normal(array.shape).astype(array.dtype) for name, array in found.items()}
    asked = {"inputs": inputs, "directions": directions, "double": double}
    theirs = ask("gradients", source=source, **asked)["gradients"]
    mine = worker("torch_side").call("gradients", model=folder, rules=listed(rules), **asked)["gradients"]
    names = dict.fromkeys([*theirs, *mine])
    errors = {n: difference(mine[n], theirs[n]).error if n in mine and n in theirs else math.nan for n in names}
    return GradientReport(rtol, errors)
