"""What the tests of the training loop train on."""

import numpy as np
import pytest
from training_net import ROWS


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(ROWS, 6)).astype(np.float32), rng.integers(0, 3, ROWS)
