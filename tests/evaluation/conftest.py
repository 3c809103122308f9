"""A model, and rows with labels to evaluate it on."""

from __future__ import annotations

import numpy as np
import onnx_samples
import pytest
from evaluation_rows import ROWS


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.fixture
def classifier(tmp_path):
    model = onnx_samples.mlp((12, 9, 7))
    return onnx_samples.save(model, tmp_path / "m.onnx"), model


@pytest.fixture
def x(random):
    return random.normal(size=(ROWS, 12)).astype(np.float32)


@pytest.fixture
def labels(random):
    return random.integers(0, 7, ROWS)
