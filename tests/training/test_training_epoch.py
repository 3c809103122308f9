"""A whole epoch of the tutorial's training ends where Keras's own training ends."""

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_training_keras import apart, case_of, written

from bridge import keras2torch
from bridge.torch_side.training.train import train_steps
from bridge.torch_side.writing.build import arrays_from, plan_of, state_from

MODEL = Path(__file__).parents[2] / "models" / "pretrained_model.h5"

ROWS, SIZES = 60_000, [784, 64, 64, 10]  # 1,875 steps of batch 32
# Two runs that differ by rounding stay together until, by chance, a ReLU's input that is zero but for rounding gets
# another sign in one of them; then they part for good. In 18 epochs torch and Keras parted in 5, and Keras from itself
# in 4 when it added up in another order (oneDNN on and off). So other data are tried before the verdict; a formula that
# is off parts in all of them.
SEEDS = (1, 3, 4, 5)
MORE = {"sizes": SIZES, "hidden": "relu", "batch": 32, "steps": None, "shared": "epoch"}
CASES = {name: case_of(name, optimizer={"name": name}, **MORE) for name in ("sgd", "adam", "rmsprop")}
PROGRAM = "import sys; sys.path.append(sys.argv[1]); import training_truth; training_truth.main(*sys.argv[2:])"


def digits(seed):
    """Handwritten digits at 3 times their size, shifted at random within 28x28, with noise on the strokes."""
    source, rng = load_digits(), np.random.default_rng(seed)
    large = np.repeat(np.repeat(source.images.astype(np.float32) / 16, 3, 1), 3, 2)
    rows = rng.integers(0, len(large), ROWS)
    x = np.zeros((ROWS, 28, 28), np.float32)
    for i, (row, down, right) in enumerate(zip(rows, *rng.integers(0, 5, (2, ROWS)), strict=True)):
        x[i, down : down + 24, right : right + 24] = large[row]
    x += rng.standard_normal(x.shape, np.float32) * 0.1 * (x > 0)
    return x.clip(0, 1).reshape(ROWS, 784), source.target[rows]


@functools.lru_cache(1)
def begin(seed):
    """The arrays from which an epoch starts."""
    rng = np.random.default_rng(seed)
    arrays = dict(zip(("x", "y"), digits(seed), strict=True))
    for i, (a, b) in enumerate(itertools.pairwise(SIZES)):
        limit = (6 / (a + b)) ** 0.5  # Keras's default: glorot_uniform and zeros
        arrays[f"w{2 * i}"] = rng.uniform(-limit, limit, (a, b)).astype(np.float32)
        arrays[f"w{2 * i + 1}"] = np.zeros(b, np.float32)
    return arrays


def task(folder, seed):
    """Writes what training_truth takes for all optimizers at once."""
    return written(folder, [*CASES.values()], {f"epoch/{key}": array for key, array in begin(seed).items()})


def to_record(folder):
    """Writes the first epoch's task, and gives the recorder's name for that."""
    return task(folder / "training-epoch", SEEDS[0]).name


@pytest.fixture(scope="module")
def truth(recorder, request, tmp_path_factory):
    """What Keras's epoch gives for a seed: the first was recorded beside other tests."""

    @functools.cache
    def of(seed):
        if seed == SEEDS[0]:
            return read(recorder.wait("training-epoch.npz"))
        folder = task(tmp_path_factory.mktemp("epochs") / str(seed), seed)
        files = [folder / name for name in ("cases.json", "arrays.npz", "out.npz")]
        request.getfixturevalue("keras").script(PROGRAM, Path(__file__).parents[1], *files)
        return read(files[-1])

    return of


def read(file):
    with np.load(file) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def network():
    """The tutorial's network as bridge converts it."""
    return keras2torch(MODEL, mlp="784-64:relu-64:relu-10:softmax")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", CASES)
def test_a_whole_epoch_ends_at_the_weights_of_keras(optimizer, truth, network):
    distances, plan = [], plan_of(network)
    for seed in SEEDS:
        arrays, case, keras = begin(seed), CASES[optimizer], truth(seed)
        start = dict(zip(plan.moves, (arrays[f"w{i}"] for i in range(6)), strict=True))
        network.load_state_dict(state_from(plan, start))
        result = train_steps(network, case["optimizer"], case["loss"], arrays["x"], arrays["y"], case["batch"])
        assert len(result["losses"]) == len(keras[f"{optimizer}/losses"]) == 1875
        ours = list(arrays_from(plan, network.state_dict()).values())
        distances.append(apart(ours, [keras[f"{optimizer}/w{i}"] for i in range(6)]))
        print(f"{optimizer}, seed {seed}: {distances[-1]:.1e}")
        if distances[-1] < 1e-5:
            return
    pytest.fail(f"relative distances of the weights after an epoch: {distances}")
