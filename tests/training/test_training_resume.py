"""A run that is resumed, what of it is refused, and the state that it leaves."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from training_net import ROWS, Net, run, same

from bridge.errors import BridgeError
from bridge.torch_side.training import resume
from bridge.torch_side.training.checkpoint import NAME
from bridge.torch_side.training.freeze import freeze


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
