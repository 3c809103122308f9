"""Keras graphs whose weights a module of the user's own is to get, and the file of that module."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from own_modules import HEAD, MakeGraph, write_weights

from bridge.graph import Graph, from_proto
from bridge.keras_side.client import traced
from bridge.keras_side.source import Source


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
