"""The training loop's own promises: resume, best weights, frozen parts, refusals, what it writes."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from bridge.data import Data
from bridge.errors import BridgeError
from bridge.graph import Graph, Layer, Node, Value, Weight
from bridge.torch_side.training import resume
from bridge.torch_side.training.checkpoint import NAME
from bridge.torch_side.training.freeze import freeze, train_mode
from bridge.torch_side.training.objective import Objective
from bridge.torch_side.training.optimizers import Adam, optimizer
from bridge.torch_side.training.tables import refuse_beyond_tables
from bridge.torch_side.training.train import fit

ROWS = 50


class Net(nn.Module):
    """Everything that a resumed run has to bring back: batch statistics and random numbers, beside the weights."""

    final = "softmax"

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.dense = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(16, 3)

    def logits(self, x):
        return self.head(self.dropout(torch.tanh(self.norm(self.dense(x)))))

    def forward(self, x):
        return self.logits(x).softmax(-1)


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x):
        return {"kind": self.a(x).softmax(-1), "size": self.b(x)}


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(ROWS, 6)).astype(np.float32), rng.integers(0, 3, ROWS)


def run(net, data, **options):
    return fit(net, *data, **{"batch": 8, "epochs": 4, "device": "cpu", "learning_rate": 0.02} | options)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    "spec", ["adam", {"name": "rmsprop", "momentum": 0.5}, {"name": "sgd", "momentum": 0.9}], ids=str
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(spec, data, tmp_path):
    whole, parts = Net(), Net()
    options = {"optimizer": spec, "validation": data}
    expected = run(whole, data, **options)
    run(parts, data, epochs=2, checkpoint=tmp_path / "run", **options)
    torch.manual_seed(123)  # nothing may hang on what happened in between
    continued = Net(seed=9)
    history = run(continued, data, checkpoint=tmp_path / "run", resume=True, **options)
    assert history.rows == expected.rows
    assert history.best == expected.best
    assert same(continued, whole)


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


def test_resume_with_other_settings_is_refused(data, tmp_path):
    run(Net(), data, epochs=1, checkpoint=tmp_path / "run")
    with pytest.raises(BridgeError, match=r"batch was 8 in that run and is 4 now"):
        run(Net(), data, batch=4, checkpoint=tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_refused(data, tmp_path):
    run(Net(), data, epochs=1, checkpoint=tmp_path / "run")
    path = tmp_path / "run" / NAME
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BridgeError, match=r"is not a checkpoint of bridge, or is damaged"):
        run(Net(), data, checkpoint=tmp_path / "run", resume=True)


OTHERS = {
    "validation": ({"validation": "same"}, r"best epoch by was \"loss\" in that run and is \"val_loss\" now"),
    "seed": ({"seed": 1}, r"seed was 0 in that run and is 1 now"),
    "optimizer": ({"optimizer": "sgd"}, r"optimizer was \{\"name\": \"Adam\""),
    "what was asked": ({"asked": {"transfer": "structure"}}, r"transfer was \"parameters\" in that run"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_resume_of_another_run_is_refused(data, tmp_path, case):
    other, message = OTHERS[case]
    if "validation" in other:
        other = {"validation": data}
    asked = {"asked": {"transfer": "parameters"}}
    run(Net(), data, epochs=1, checkpoint=tmp_path / "run", **asked)
    with pytest.raises(BridgeError, match=message):
        run(Net(), data, checkpoint=tmp_path / "run", resume=True, **asked | other)


def test_resume_with_other_rows_is_refused_whichever_row_differs(data, tmp_path):
    x, y = data
    run(Net(), data, epochs=1, validation=data, checkpoint=tmp_path / "run")
    other = x.copy()
    other[-1, -1] += 1
    for what, options in (("data", {"x": other}), ("validation", {"validation": (other, y)})):
        given = {"x": x, "validation": data} | options
        with pytest.raises(BridgeError, match=rf"{what} \(checksum\) was \d+ in that run"):
            run(Net(), (given.pop("x"), y), checkpoint=tmp_path / "run", resume=True, **given)


def test_resume_with_another_frozen_layer_is_refused(tmp_path, data):
    """A batch normalization without parameters is frozen by its mark alone."""
    nets = [nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, affine=False)) for _ in range(2)]
    data = (data[0], np.zeros((ROWS, 3), np.float32))
    run(nets[0], data, epochs=1, checkpoint=tmp_path / "run")
    freeze(nets[1], ["1"])
    with pytest.raises(BridgeError, match=r"frozen layers was \[\] in that run and is \[\"1\"\] now"):
        run(nets[1], data, checkpoint=tmp_path / "run", resume=True)


def test_a_runs_state_holds_what_it_changes_and_is_bound_to_the_rest(data, tmp_path):
    nets = [Net(), Net(), Net(seed=9)]
    for net in nets:
        freeze(net, [next(name for name, _ in net.named_children())])
    frozen = {name for name, p in nets[0].named_parameters() if not p.requires_grad}
    whole = run(nets[0], data, epochs=2)
    run(nets[1], data, epochs=1, checkpoint=tmp_path / "run")
    with safe_open(tmp_path / "run" / NAME, framework="pt") as file:
        held = {key.removeprefix("module/") for key in file.keys() if key.startswith("module/")}  # noqa: SIM118
    assert frozen
    assert held == set(nets[0].state_dict()) - frozen
    with pytest.raises(BridgeError, match=r"frozen weights \(checksum\) was \d+ in that run"):
        run(nets[2], data, epochs=2, checkpoint=tmp_path / "run", resume=True)
    assert run(nets[1], data, epochs=2, checkpoint=tmp_path / "run", resume=True).rows == whole.rows
    assert same(nets[0], nets[1])


def test_a_run_that_is_refused_leaves_the_old_state_alone(data, tmp_path):
    run(Net(), data, epochs=1, checkpoint=tmp_path / "run")
    before = (tmp_path / "run" / NAME).read_bytes()
    with pytest.raises(BridgeError, match="loss 'hinge' is not known"):
        run(Net(), data, checkpoint=tmp_path / "run", loss="hinge")
    assert (tmp_path / "run" / NAME).read_bytes() == before


def facts(change):
    def damage(tensors, found):
        change(found)
        return tensors, found

    return damage


def tensors(change):
    def damage(tensors, found):
        change(tensors)
        return tensors, found

    return damage


DAMAGES = {
    "facts are a list": (lambda t, f: (t, []), "its facts are not those of a run"),
    "no facts": (lambda t, f: (t, {}), "its facts are not those of a run"),
    "best": (facts(lambda f: f.update(best=99)), "its best epoch is 99 of 2"),
    "rows": (facts(lambda f: f.update(rows=5)), "its epochs can't be read"),
    "no rows": (facts(lambda f: f.update(rows=[])), "its epochs can't be read"),
    "an epoch": (facts(lambda f: f["rows"][1].update(epoch="2")), "its epochs can't be read"),
    "iterations": (facts(lambda f: f.update(iterations="many")), "its settings or its steps can't be read"),
    "settings": (facts(lambda f: f.update(settings=None)), "its settings or its steps can't be read"),
    "slot": (tensors(lambda t: t.update({"optimizer/x.momentum": torch.zeros(1)})), "x.momentum is too much"),
    "section": (tensors(lambda t: t.update(other=torch.zeros(1))), "'other'"),
    "slot's shape": (
        tensors(lambda t: t.update({"optimizer/0.velocity": torch.zeros(1)})),
        r"its optimizer is not that of this network: 0.velocity is \(1,\) torch.float32, not \(16, 6\)",
    ),
    "missing tensor": (
        tensors(lambda t: t.pop("module/head.bias")),
        "its module is not that of this network: head.bias is missing",
    ),
    "type": (tensors(lambda t: t.update({"best/head.bias": torch.zeros(3).double()})), "its best is not .*float64"),
    "random": (tensors(lambda t: t.update({"random/cpu": torch.zeros(3)})), "its random is not that of this network"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_checkpoint_that_no_run_wrote_is_refused(data, tmp_path, case):
    damage, message = DAMAGES[case]
    run(Net(), data, epochs=2, optimizer="adam", checkpoint=tmp_path / "run")
    path = tmp_path / "run" / NAME
    with safe_open(path, framework="pt") as file:
        found, told = {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["bridge"])  # noqa: SIM118
    found, told = damage(found, told)
    save_file(found, path, {"bridge": json.dumps(told)})
    with pytest.raises(BridgeError, match=rf"is not a checkpoint of bridge, or is damaged \(.*{message}"):
        run(Net(), data, checkpoint=tmp_path / "run", resume=True)


def test_resume_without_a_checkpoint_starts_at_the_beginning(data, tmp_path):
    assert len(run(Net(), data, checkpoint=tmp_path / "run", resume=True).rows) == 4


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


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_large_weights_of_the_best_epoch_are_kept_in_the_checkpoint(data, tmp_path, monkeypatch, optimizer):
    """The same run, resumed too, whether they are in memory or there."""
    told = {"validation": data, "learning_rate": 0.5, "epochs": 5, "optimizer": optimizer}
    plain, large, again = Net(), Net(), Net()
    history = run(plain, data, checkpoint=tmp_path / "a", **told)
    assert 1 < history.best < 5
    monkeypatch.setattr(resume, "LARGE", 0)
    run(large, data, checkpoint=tmp_path / "b", **told)
    assert (tmp_path / "a" / NAME).read_bytes() == (tmp_path / "b" / NAME).read_bytes()
    run(Net(), data, checkpoint=tmp_path / "c", **told | {"epochs": history.best})
    run(again, data, checkpoint=tmp_path / "c", resume=True, **told)
    for net in (large, again):
        assert all(
            torch.equal(a, b) for a, b in zip(net.state_dict().values(), plain.state_dict().values(), strict=True)
        )


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


def test_a_device_that_is_not_there_is_refused(data):
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(BridgeError, match=r"device 'mps' can't be used by this PyTorch on this machine"):
        run(Net(), data, device="mps")


@pytest.mark.parametrize(
    ("number", "said"),
    [(10, r"tokens has 10 in row 1, but words \(Embedding\) has the rows 0 to 9\.$"), (-1, r"has -1 .* from the end: ")],
)
def test_numbers_that_an_embedding_has_no_row_for_are_refused(number, said):
    words = Layer("Embedding", "words", {}, {"embeddings": Weight("words/embeddings", (10, 3))})
    node = Node("words", "Embedding", ["tokens", "words/embeddings"], ["words"], words)
    graph = Graph(name="net", inputs=[Value("tokens", (None, 2), "int32")], outputs=[], nodes=[node], weights={}, arrays={})
    given = {"tokens": np.array([[0, 9], [3, number]])}
    with pytest.raises(BridgeError, match=said):
        refuse_beyond_tables(Data(given, None, "mine.npz"), graph)
