"""What training lowers and how it steps: losses, targets, optimizers, and what of them is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from training_net import ROWS, Net, run

from bridge.errors import BridgeError
from bridge.torch_side.training.objective import Objective
from bridge.torch_side.training.optimizers import Adam, optimizer


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x):
        return {"kind": self.a(x).softmax(-1), "size": self.b(x)}


def test_several_outputs_each_have_their_loss(data):
    net, (x, classes) = TwoOutputs(), data
    y = {"size": x[:, :1], "kind": classes}
    history = run(net, (x, y), loss={"kind": "sparse_categorical_crossentropy", "size": "mse"}, epochs=20)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    with pytest.raises(BridgeError, match=r"no targets for the output 'kind'"):
        run(net, (x, {"size": y["size"], "kinds": classes}))


def test_penalty_is_part_of_the_loss_and_constrain_follows_each_step(data):
    class Bounded(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(6, 3)

        def forward(self, x):
            return self.dense(x)

        def penalty(self):
            return 10 * self.dense.weight.square().sum()

        def constrain(self):
            self.dense.bias.clamp_(min=0.25)

    net, values = Bounded(), np.zeros((ROWS, 3), np.float32)
    history = run(net, (data[0], values), optimizer="sgd", learning_rate=0.01)
    assert history.rows[0]["loss"] > 1
    assert net.dense.weight.square().sum() < 1e-3
    assert net.dense.bias.min() >= 0.25


@pytest.mark.parametrize(
    ("final", "shape", "target", "loss"),
    [
        ("softmax", 3, np.zeros(4, np.int64), "sparse_categorical_crossentropy"),
        ("softmax", 3, np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], "categorical_crossentropy"),
        ("sigmoid", 1, np.zeros(4, np.int64), "binary_crossentropy"),
        (None, 3, np.zeros((4, 3), np.float32), "mse"),
    ],
)
def test_the_loss_is_chosen_by_final_activation_and_targets(final, shape, target, loss):
    net = nn.Sequential(nn.Linear(6, shape))
    if final:
        net.final, net.logits = final, net.forward
    objective = Objective(net, [torch.zeros(2, 6)], target, None)
    assert objective.loss_name == loss
    assert objective.logits == (final is not None)
    objective.targets(target)


@pytest.mark.parametrize(
    ("loss", "target", "message"),
    [
        (None, np.array([0, 1, 3]), r"row 2 has class 3, the network has 0 to 2.\nGive the network another head"),
        (None, np.array([0, -1, 2]), r"row 1 has class -1"),
        ("sparse_categorical_crossentropy", np.array([0, 1.5, 2]), r"whole class numbers"),
        ("sparse_categorical_crossentropy", np.zeros((3, 2)), r"class numbers in the shape \(3,\), found \(3, 2\)"),
        ("categorical_crossentropy", np.ones((3, 3)), r"rows that sum to 1"),
        ("categorical_crossentropy", np.ones(3), r"wants the shape \(3, 3\), found \(3,\)"),
        ("mse", np.array([[0, 0, np.nan]] * 3), r"row 0 holds NaN or infinity"),
        ("binary_crossentropy", np.full((3, 3), 2.0), r"between 0 and 1"),
        ("hinge", np.zeros(3), r"loss 'hinge' is not known.\nChoose one of sparse_categorical_crossentropy"),
        (None, np.zeros(2, np.int64), r"different numbers of rows"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, target, message):
    with pytest.raises(BridgeError, match=message):
        run(Net(), (np.zeros((3, 6), np.float32), target), loss=loss)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adagrad", r"optimizer 'adagrad' is not known.\nChoose one of sgd, adam, adamw, rmsprop"),
        ({"name": "sgd", "beta_1": 0.9}, r"optimizer SGD: unknown option 'beta_1'"),
        ({"name": "adam", "learning_rate": -1.0}, r"learning_rate must be a positive number, found -1.0"),
        ({"name": "adam", "clipnorm": 1.0, "clipvalue": 1.0}, r"only one of clipnorm, clipvalue and global_clipnorm"),
        ({"name": "adamw", "weight_decay": None}, r"weight_decay must be a number"),
    ],
    ids=str,
)
def test_an_optimizer_that_keras_does_not_have_is_refused(spec, message):
    with pytest.raises(BridgeError, match=message):
        optimizer(spec, nn.Linear(2, 2).parameters())


@pytest.mark.parametrize("spec", [{"name": "adam", "clipnorm": 0.1}, {"name": "sgd", "momentum": 0.9}], ids=str)
def test_flattened_parameters_take_the_same_steps(spec):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 5), nn.Conv1d(1, 2, 3))
    flat = nn.Sequential(nn.Linear(6, 5), nn.Conv1d(1, 2, 3))
    flat.load_state_dict(plain.state_dict())
    steppers = [optimizer(spec, net.parameters()) for net in (plain, flat)]
    steppers[1].flatten()
    for _ in range(5):
        x = torch.randn(4, 1, 6)
        for net, stepper in zip((plain, flat), steppers, strict=True):
            net(x).square().mean().backward()
            stepper.step()
            stepper.zero_grad()
    steppers[1].unflatten()
    for ours, theirs in zip(flat.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)
    states = [stepper.state_dict()["state"] for stepper in steppers]
    assert [{k: v.shape for k, v in s.items()} for s in states[0].values()] == [
        {k: v.shape for k, v in s.items()} for s in states[1].values()
    ]


def test_a_parameter_excluded_from_weight_decay_does_not_decay():
    net = nn.Linear(2, 2)
    before = net.bias.detach().clone()
    stepper = Adam(net.parameters(), weight_decay=0.5, exclude=[net.bias])
    stepper.flatten()
    (net.weight.sum() * 0 + net.bias.sum() * 0).backward()
    weight = net.weight.detach().clone()
    stepper.step()
    assert torch.equal(net.bias, before)
    assert not torch.equal(net.weight, weight)
