"""Training in torch against Keras's own training of the same network on the same batches."""

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from training_models import TRAINED

from bridge.graph import from_proto
from bridge.torch_side.training.train import fit, train_steps
from bridge.torch_side.writing.build import arrays_from, build, plan_of

SIZES = [12, 9, 5]
SPARSE, CATEGORICAL, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"

OPTIMIZERS = [
    {"name": "sgd"},
    {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1},
    {"name": "sgd", "learning_rate": 0.1, "clipnorm": 0.05},
    {"name": "sgd", "learning_rate": 0.1, "clipvalue": 0.01},
    {"name": "sgd", "learning_rate": 0.1, "global_clipnorm": 0.05},
    {"name": "adam"},
    {"name": "adam", "learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-5},
    {"name": "adam", "amsgrad": True, "learning_rate": 0.05},
    {"name": "adam", "clipnorm": 0.05},
    {"name": "adam", "global_clipnorm": 0.05, "weight_decay": 0.01},
    {"name": "adamw"},
    {"name": "adamw", "weight_decay": 0.2, "learning_rate": 0.01},
    {"name": "rmsprop"},
    {"name": "rmsprop", "rho": 0.7, "momentum": 0.5, "epsilon": 1e-6},
    {"name": "rmsprop", "centered": True},
    {"name": "rmsprop", "centered": True, "momentum": 0.9, "clipvalue": 0.02},
]
LOSSES = [
    (SPARSE, "softmax"),
    (CATEGORICAL, "softmax"),
    (BINARY, "sigmoid"),
    (BINARY, "softmax"),  # Keras takes any cross-entropy through the logits, even those of the wrong activation
    (CATEGORICAL, "sigmoid"),
    (SPARSE, "opaque softmax"),
    (CATEGORICAL, "opaque softmax"),
    (CATEGORICAL, "opaque sigmoid"),
    (BINARY, "opaque sigmoid"),
    ("mse", "linear"),
    ("mse", "softmax"),
    ("mae", "linear"),
    ("mae", "sigmoid"),
]


class Net(nn.Module):
    """A stack of dense layers that ends in `final`; `logits` only where Keras could see them."""

    def __init__(self, sizes, hidden, final):
        super().__init__()
        self.dense = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.hidden = {"tanh": torch.tanh, "relu": torch.relu}[hidden]
        kind = final.split()[-1]
        self.activation = {"softmax": lambda x: x.softmax(-1), "sigmoid": torch.sigmoid, "linear": lambda x: x}[kind]
        if final in ("softmax", "sigmoid"):
            self.final, self.logits = final, self.before

    def before(self, x):
        for dense in self.dense[:-1]:
            x = self.hidden(dense(x))
        return self.dense[-1](x)

    def forward(self, x):
        return self.activation(self.before(x))


def weights_of(net):
    """The weights in Keras's order and layout."""
    return [p.detach().numpy().T for dense in net.dense for p in (dense.weight, dense.bias)]


def net_for(case, weights):
    net = Net(case["sizes"], case["hidden"], case["final"])
    with torch.no_grad():
        for dense, kernel, bias in zip(net.dense, weights[::2], weights[1::2], strict=True):
            dense.weight.copy_(torch.from_numpy(kernel.T.copy()))
            dense.bias.copy_(torch.from_numpy(bias))
    return net


def apart(ours, keras):
    """Distance of two lists of weights, relative, in the L2 norm."""
    ours, keras = (np.concatenate([w.ravel() for w in ws]).astype(np.float64) for ws in (ours, keras))
    return np.linalg.norm(ours - keras) / np.linalg.norm(keras)


def arrays_for(case, rows=70, scale=1.0):
    rng = np.random.default_rng(3)
    sizes, classes = case["sizes"], rng.integers(0, case["sizes"][-1], rows)
    y = {SPARSE: classes, CATEGORICAL: np.eye(sizes[-1], dtype=np.float32)[classes]}.get(case["loss"])
    if y is None:
        y = rng.integers(0, 2, (rows, sizes[-1])).astype(np.float32)
    arrays = {"x": rng.normal(size=(rows, sizes[0])).astype(np.float32), "y": y}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        arrays[f"w{2 * i}"] = rng.normal(0, scale / a**0.5, (a, b)).astype(np.float32)
        arrays[f"w{2 * i + 1}"] = rng.normal(0, 0.1, b).astype(np.float32)
    return arrays


def case_of(name, loss=SPARSE, final="softmax", **more):
    base = {"name": name, "sizes": SIZES, "hidden": "tanh", "final": final, "loss": loss}
    return base | {"optimizer": {"name": "sgd", "learning_rate": 0.5}, "batch": 8, "steps": 30} | more


CASES = [case_of(json.dumps(spec), optimizer=spec) for spec in OPTIMIZERS]
CASES += [case_of(f"{loss} {final}", loss, final, steps=12) for loss, final in LOSSES]
FIT_CASES = [
    case_of("fit sparse", epochs=3),
    case_of("fit categorical", CATEGORICAL, epochs=3),
    case_of("fit binary", BINARY, "sigmoid", sizes=[12, 9, 1], epochs=3),
]


def written(folder: Path, cases, arrays):
    """Writes what training_truth.main takes; the folder, which is new."""
    folder.mkdir()
    (folder / "cases.json").write_text(json.dumps(cases))
    np.savez(folder / "arrays.npz", **arrays)
    return folder


def to_record(folder):
    """Writes what training_truth takes for all tests here, and gives the recorder's name for that."""
    given = {case["name"]: arrays_for(case) for case in CASES + FIT_CASES}
    given |= {trained.name: trained.arrays() for trained in TRAINED}
    arrays = {f"{name}/{key}": array for name, part in given.items() for key, array in part.items()}
    return written(folder / "training-steps", [*CASES, *FIT_CASES, *(each.case() for each in TRAINED)], arrays).name


@pytest.fixture(scope="module")
def arrays(recorder):
    with np.load(recorder.folder / "training-steps" / "arrays.npz") as given:
        return dict(given)


@pytest.fixture(scope="module")
def truth(recorder):
    with np.load(recorder.wait("training-steps.npz")) as out:
        return dict(out)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_steps_lead_to_the_weights_and_losses_of_keras(case, arrays, truth):
    name = case["name"]
    start = [arrays[f"{name}/w{i}"] for i in range(4)]
    net = net_for(case, start)
    result = train_steps(
        net, case["optimizer"], case["loss"], arrays[f"{name}/x"], arrays[f"{name}/y"], case["batch"], case["steps"]
    )
    end = [truth[f"{name}/w{i}"] for i in range(4)]
    assert apart(start, end) > 1e-3, "the case trains nothing"
    assert apart(weights_of(net), end) < 1e-6
    np.testing.assert_allclose(result["losses"], truth[f"{name}/losses"], rtol=3e-6)


@pytest.mark.parametrize("case", FIT_CASES, ids=lambda case: case["name"])
def test_history_is_what_keras_fit_reports(case, arrays, truth):
    name = case["name"]
    x, y = arrays[f"{name}/x"], arrays[f"{name}/y"]
    net = net_for(case, [arrays[f"{name}/w{i}"] for i in range(4)])
    held_out = len(x) // 3
    history = fit(
        net,
        x[held_out:],
        y[held_out:],
        validation=(x[:held_out], y[:held_out]),
        optimizer=case["optimizer"],
        epochs=case["epochs"],
        batch=case["batch"],
        shuffle=False,
        device="cpu",
    )
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose([row[key] for row in history.rows], truth[f"{name}/{key}"], rtol=3e-6)


@pytest.mark.parametrize("trained", TRAINED, ids=lambda trained: trained.name)
def test_whole_models_end_with_the_weights_of_keras(trained, arrays, truth):
    """From Keras's own beginning, on the same batches."""
    name, case = trained.name, trained.case()
    module = build(from_proto(onnx.load_from_string(truth[f"{name}/proto"].tobytes())))
    x = {key: arrays[f"{name}/x/{key}"] for key in trained.inputs}
    start = arrays_from(plan_of(module), module.state_dict())
    result = train_steps(module, case["optimizer"], case["loss"], x, arrays[f"{name}/y"], case["batch"], case["steps"])
    found = arrays_from(plan_of(module), module.state_dict())
    paths = [path for path in found if not path.endswith(trained.no_gradient)]
    end = [truth[f"{name}/weight/{path}"] for path in paths]
    assert apart([start[path] for path in paths], end) > 1e-3, "the case trains nothing"
    assert apart([found[path] for path in paths], end) < 1e-5
    np.testing.assert_allclose(result["losses"], truth[f"{name}/losses"], rtol=1e-5)
