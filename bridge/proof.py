"""The proof of a conversion: ONNX Runtime and torch beside Keras's own outputs on random inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bridge.errors import BridgeError, CheckFailed
from bridge.graph import Graph
from bridge.graph.changes.inner_layers import layer_nodes
from bridge.graph.own_layers import is_own
from bridge.graph.probe import counted, probe_inputs, probe_rows, relative_difference
from bridge.keras_side.client import Traced, ask
from bridge.keras_side.source import Source
from bridge.runs import in_onnx_runtime, in_torch

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-5  # relative to the output's largest value; seen are 1e-7 for shallow networks
ROUNDED, ROUNDING = 1e-3, 10  # what hundreds of layers may make of it, and how much more than of Keras's own outputs
LEAST_SHARE = 1e-3  # ONNX Runtime 1.31 makes 1.4e-8 of a sigmoid that is 7e-9


@dataclass(frozen=True)
class Proof:
    """How far the results were from Keras's own outputs on random inputs, relative to their largest value.

    notes: what was set aside while tracing, and what legacy Keras said of an old file.
    """

    onnx: float
    torch: float | None = None
    notes: tuple[str, ...] = ()


def proved(source: Source, found: Traced, graph: Graph) -> Proof:
    """Runs the conversion in ONNX Runtime beside Keras's own outputs. Raises CheckFailed if they differ."""
    if found.non_finite:
        shown = ", ".join(found.non_finite[:5])
        raise CheckFailed(f"{graph.name}: NaN or infinity in its weights ({shown}), so nothing can be proved of it.")
    exact = _Exact(source, graph)
    worst, calm = _compared(
        exact, found, lambda inputs: in_onnx_runtime(found.proto, graph, inputs, found.folder), "ONNX Runtime"
    )
    return Proof(worst, notes=_legacy(exact, found.outputs) if calm is None else (calm.note,))


def proved_in_torch(source: Source, found: Traced, graph: Graph, module: nn.Module, by_runtime: Proof) -> Proof:
    """The same in torch."""
    worst, calm = _compared(_Exact(source, graph), found, lambda inputs: in_torch(module, graph, inputs), "torch")
    told = () if calm is None or calm.note in by_runtime.notes else (calm.note,)
    return replace(by_runtime, torch=worst, notes=(*by_runtime.notes, *told))


def _compared(
    exact: _Exact, found: Traced, run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], who: str
) -> tuple[float, _Exact | None]:
    """How far the outputs are from Keras's; and the smaller inputs, where only those can prove anything."""
    try:
        return _largest(exact, run(exact.inputs), found.outputs, who), None
    except CheckFailed:
        calm = exact.calmer(found.outputs)
        if calm is None:
            raise
        return _largest(calm, run(calm.inputs), calm.wanted, who), calm


def _legacy(exact: _Exact, here: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Holds an old file's outputs against legacy Keras's, where that is there. Raises CheckFailed if they differ."""
    from bridge.keras2_side.check import ask_legacy

    legacy = ask_legacy(exact.source.path, exact.graph, exact.inputs, bool(exact.source.from_layer))
    if legacy is None:
        return ()
    if legacy.outputs is None:
        return (legacy.note,)
    if [y.shape for y in legacy.outputs] != [y.shape for y in here.values()]:
        return (f"Not compared with {legacy.note}: it gives other outputs.",)
    got = dict(zip(here, legacy.outputs, strict=True))
    worst = _largest(exact, got, here, legacy.note)
    return (f"{legacy.note} reads the file as bridge does: its outputs differ by {worst:.1e} of their scale.",)


def _largest(exact: _Exact, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], who: str) -> float:
    name = exact.graph.name
    if overflowed := [output for output, value in wanted.items() if not np.isfinite(value).all()]:
        raise CheckFailed(
            f"{name}: Keras itself gives NaN or infinity on random inputs (output {overflowed[0]}), "
            "so nothing can be proved of it."
        )
    worst = max(_difference(exact.graph, output, got[output], wanted[output]) for output in wanted)
    if not (worst <= TOLERANCE or (worst <= ROUNDED and exact.shows_rounding(got, wanted))):
        own = [str(node) for node in layer_nodes(exact.graph) if is_own(node.layer) and not node.is_split]
        fault = (
            f"Does your rule compute what your layer does? It is asked for {', '.join(own[:4])}."
            if own
            else "This is a fault of bridge, please report it with the output of bridge inspect."
        )
        raise CheckFailed(
            f"{name}: {who} and Keras differ on random inputs, by {worst:.2g} of the outputs' scale.\n"
            f"Nothing was written. {fault}"
        )
    return worst


def _difference(graph: Graph, output: str, found: np.ndarray, wanted: np.ndarray) -> float:
    """Of the output's scale; a sigmoid's is LEAST_SHARE at least, for runtimes round what is almost 0 as they like."""
    maker = graph.maker(output)
    is_share = maker is not None and maker.layer is not None and maker.layer.config.get("activation") == "sigmoid"
    relative = relative_difference(found, wanted)
    scale = float(np.abs(wanted).max()) if is_share and np.isfinite(relative) and wanted.size else LEAST_SHARE
    return relative * min(1.0, scale / LEAST_SHARE)


class _Exact:
    """Keras's outputs for the probe inputs in float64, asked for when they are needed. scale: of the inputs."""

    def __init__(self, source: Source, graph: Graph, scale: float = 1.0):
        self.source, self.graph, self.scale = source, graph, scale

    @functools.cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        made = probe_inputs(self.graph.inputs, probe_rows(self.graph), below=counted(self.graph))
        return {name: x * x.dtype.type(self.scale) if x.dtype.kind == "f" else x for name, x in made.items()}

    @functools.cached_property
    def wanted(self) -> dict[str, np.ndarray]:
        """Keras's own outputs, in float32."""
        return dict(ask("run", source=asdict(self.source), inputs=self.inputs)["outputs"])

    @property
    def note(self) -> str:
        return (
            "Random inputs of the usual size drive this network wild: Keras itself is far from its own float64 outputs "
            f"there. So it was proved on inputs of {self.scale:g} times that size."
        )

    def calmer(self, wanted: dict[str, np.ndarray]) -> _Exact | None:
        """The same on smaller inputs, where Keras's own rounding is so large on these that they can prove nothing."""
        if self.outputs is None or self._rounding(wanted) <= ROUNDED / ROUNDING:
            return None
        for scale in (0.1, 0.01, 0.001):
            calm = _Exact(self.source, self.graph, scale)
            if calm.outputs is not None and calm._rounding(calm.wanted) <= TOLERANCE:
                return calm
        return None

    def _rounding(self, wanted: dict[str, np.ndarray]) -> float:
        return max(relative_difference(wanted[name], (self.outputs or {})[name]) for name in wanted)

    @functools.cached_property
    def outputs(self) -> dict[str, np.ndarray] | None:
        """None for a model that Keras can't build anew."""
        try:
            return dict(ask("run", source=asdict(self.source), inputs=self.inputs, double=True)["outputs"])
        except BridgeError:
            return None

    def shows_rounding(self, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
        """Whether `got` is about as near to these as Keras's own float32 outputs are: many layers, much rounding."""
        exact = self.outputs
        return exact is not None and all(
            relative_difference(got[name], exact[name]) <= ROUNDING * relative_difference(wanted[name], exact[name])
            for name in wanted
        )
