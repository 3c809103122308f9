"""bridge quickstart: it runs, prints what it typed, and leaves what it says."""

import re

import pytest


@pytest.mark.slow
def test_quickstart_goes_the_whole_way_and_lists_its_commands(bridge, tmp_path):
    folder = tmp_path / "qs"
    result = bridge("quickstart", "-o", folder)
    assert result.code == 0, result.err
    typed = re.findall(r"^\$ (bridge .*)$", result.out, re.MULTILINE)
    listed = result.out[result.out.index("The commands, to repeat by hand:") :]
    assert len(typed) == 11
    assert re.findall(r"^  (bridge .*)$", listed, re.MULTILINE) == typed
    files = {"pretrained_model.h5", "mnist_mlp.py", "transfer.onnx", "transfer.keras"}
    assert {p.name for p in folder.iterdir()} == {"converted", "transfer", "new-head", "scratch", *files}
    for name in ("converted", "transfer", "new-head", "scratch"):
        there = {p.name for p in (folder / name).iterdir()}
        assert there >= {"model.onnx", "model.safetensors", "model.py", "map.json"}
        assert (name == "converted") != ("history.csv" in there)
    table = result.out[result.out.index("Handwritten digits it has not seen") :]
    right = dict(re.findall(r"^ *(converted|transfer|new-head|scratch) .* ([\d.]+)% *$", table, re.MULTILINE))
    assert list(right) == ["converted", "transfer", "new-head", "scratch"]
    assert min(float(right[name]) for name in ("transfer", "new-head", "scratch")) > 90 > float(right["converted"])
    again = bridge("quickstart", "-o", folder)
    assert (again.code, "exists already" in again.err) == (2, True)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_quickstart_refuses_a_file_in_its_folders_place(bridge, tmp_path, force):
    (tmp_path / "qs").write_text("mine")
    result = bridge("quickstart", "-o", tmp_path / "qs", *force)
    assert (result.code, "qs: is a file, and the quickstart fills a folder" in result.err) == (2, True)
    assert (tmp_path / "qs").read_text() == "mine"
