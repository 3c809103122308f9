"""One case as Keras did it, and the same case on the other sides: the torch module and the ONNX models."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch

from bridge.graph import Graph, from_proto, inlined
from bridge.torch_side.writing.build import build


class Recording:
    """What keras_recorder.py wrote for one case; see there for the entries."""

    def __init__(self, file: Path):
        with np.load(file, allow_pickle=False) as opened:
            self.entries = {name: opened[name] for name in opened.files}
        self.name = file.stem

    @property
    def refusal(self) -> str | None:
        """The message by which bridge refused the model."""
        return str(self.entries["error"]) if "error" in self.entries else None

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The entries whose names begin with `prefix` and a slash, by the rest of their names."""
        return {n.removeprefix(f"{prefix}/"): a for n, a in self.entries.items() if n.startswith(f"{prefix}/")}

    @cached_property
    def proto(self) -> onnx.ModelProto:
        assert "bug" not in self.entries, str(self.entries["bug"])
        assert self.refusal is None, self.refusal
        return onnx.load_from_string(self.entries["proto"].tobytes())

    @cached_property
    def inlined(self) -> onnx.ModelProto:
        return inlined(self.proto)

    @cached_property
    def graph(self) -> Graph:
        return from_proto(self.proto)

    @cached_property
    def _built(self) -> torch.nn.Module:
        return build(self.graph)

    def module(self) -> torch.nn.Module:
        """A new module, with the recorded weights: a copy, for building one takes ten times as long."""
        return copy.deepcopy(self._built)


def tensors(arrays: dict[str, np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(array.copy()) for array in arrays.values()]


def named(outputs: object, graph: Graph) -> dict[str, torch.Tensor]:
    return outputs if isinstance(outputs, dict) else {graph.outputs[0].name: outputs}


def assert_close(
    found: object, expected: np.ndarray, tolerance: float, what: str = "", scale: float | None = None
) -> None:
    """max|found - expected| <= tolerance * scale, by default max|expected|; shapes and types are the same."""
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    assert found.shape == expected.shape, f"{what}: {found.shape} for {expected.shape}"
    assert found.dtype == expected.dtype, f"{what}: {found.dtype} for {expected.dtype}"
    if not expected.size:
        return
    scale = scale or np.abs(expected).max() or 1.0
    worst = np.abs(found.astype(np.float64) - expected).max() / scale
    assert worst <= tolerance, f"{what}: {worst:.3g} of the scale {scale:.3g}\n{found}\n{expected}"
