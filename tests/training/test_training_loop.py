"""The training loop's own promises: seeds, best weights, its history, frozen parts."""

import csv

import numpy as np
import pytest
import torch
from torch import nn
from training_net import ROWS, Net, run, same

from bridge.errors import BridgeError
from bridge.torch_side.training.freeze import freeze, train_mode


def test_the_same_seed_gives_the_same_run_and_another_seed_another(data):
    nets = [Net(), Net(), Net()]
    first, again, other = (run(net, data, seed=seed) for net, seed in zip(nets, (5, 5, 6), strict=True))
    assert first.rows == again.rows
    assert same(nets[0], nets[1])
    assert first.rows != other.rows


def test_training_leaves_the_callers_random_numbers_and_threads_alone(data):
    torch.manual_seed(4)
    net, before, threads = Net(), torch.get_rng_state(), torch.get_num_threads()
    run(net, data)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert len({p.untyped_storage().data_ptr() for p in net.parameters()}) == 6


def test_the_best_epochs_weights_are_kept(data):
    kept, states = Net(), []
    history = run(
        kept,
        data,
        validation=data,
        learning_rate=0.5,
        on_epoch=lambda row: states.append(kept.head.weight.detach().clone()),
    )
    losses = [row["val_loss"] for row in history.rows]
    assert history.best == 1 + int(np.argmin(losses))
    assert torch.equal(kept.head.weight, states[history.best - 1])
    assert not kept.training


def test_history_csv_holds_the_epochs_and_the_best_one(data, tmp_path):
    history = run(Net(), data, validation=data)
    history.write_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "best"]
    assert [float(row["val_loss"]) for row in rows] == [row["val_loss"] for row in history.rows]
    assert [row["best"] for row in rows].index("1") + 1 == history.best
    with pytest.raises(BridgeError, match=r"exists already"):
        history.write_csv(tmp_path / "history.csv")


def test_each_row_counts_once_in_an_epochs_loss(data):
    """The last batch has 2 rows of 50; its mean must not weigh as much as that of 8."""
    net = nn.Sequential(nn.Linear(6, 3))
    values = np.random.default_rng(2).normal(size=(ROWS, 3)).astype(np.float32)
    with torch.no_grad():
        expected = float((net(torch.from_numpy(data[0])) - torch.from_numpy(values)).square().mean())
    history = run(net, (data[0], values), epochs=1, optimizer="sgd", learning_rate=1e-12)
    assert history.rows[0]["loss"] == pytest.approx(expected, rel=1e-6)
    assert len(history.losses) == 7


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(data):
    x = data[0].copy()
    x[20] = np.inf
    with pytest.raises(BridgeError, match=r"the loss became nan at step 3 of epoch 1.\nTry a smaller --learning-rate"):
        run(Net(), (x, data[1]), shuffle=False)


def test_frozen_parts_stay_and_their_batch_statistics_too(data):
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert freeze(net, ["norm", "dense.w*"]) == ["dense.weight", "norm.weight", "norm.bias"]
    run(net, data)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"dense.bias", "head.weight", "head.bias"}


def test_a_frozen_batch_normalization_without_parameters_keeps_its_statistics():
    net = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, affine=False))
    freeze(net, ["1"])
    train_mode(net)
    assert net[0].training
    assert not net[1].training


def test_a_pattern_that_matches_nothing_is_refused_with_the_names():
    with pytest.raises(
        BridgeError, match=r"freeze: 'densee\*' matches no layer and no parameter.\nThere are: dense, norm"
    ):
        freeze(Net(), ["densee*"])


def test_a_network_frozen_whole_is_refused(data):
    net = Net()
    freeze(net, ["*"])
    with pytest.raises(BridgeError, match=r"no trainable parameter"):
        run(net, data)


def test_a_device_that_is_not_there_is_refused(data):
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(BridgeError, match=r"device 'mps' can't be used by this PyTorch on this machine"):
        run(Net(), data, device="mps")
