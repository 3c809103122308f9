"""The bridge folder as files: what is refused of it before anything reads on."""

import json

import numpy as np
import pytest

from bridge.errors import BridgeError, CheckFailed
from bridge.folder import check_finite, map_rows, model_of, read_graph, read_map, weights_of

FILES = {"model.onnx": read_graph, "model.safetensors": weights_of, "map.json": read_map}


@pytest.mark.parametrize("name", FILES)
def test_a_link_out_of_the_folder_is_not_followed(tmp_path, name):
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "elsewhere").write_text("{}")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BridgeError, match=f"it refers to '{name}', which lies outside its own folder"):
        FILES[name](folder)


def test_a_folder_without_a_model_is_none_of_bridges(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BridgeError, match=r"is not a bridge folder \(it has no model.onnx\)"):
            model_of(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"map.json: can't be read: .* Convert again"),
        ("[" * 100_000, r"map.json: can't be read: .* Convert again"),
        ("\udcff", r"map.json: can't be read: .*utf-8.* Convert again"),
        ("[]", r"map.json: is not a JSON object"),
    ],
)
def test_a_damaged_map_is_refused(tmp_path, content, message):
    (tmp_path / "map.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BridgeError, match=message):
        read_map(tmp_path)


@pytest.mark.parametrize(
    "weights", [None, 3, [3], [{"keras": "a", "torch": "b"}], [{"keras": 1, "torch": 2, "move": 3}]]
)
def test_rows_that_say_no_move_are_refused(tmp_path, weights):
    (tmp_path / "map.json").write_text(json.dumps({"weights": weights}))
    with pytest.raises(BridgeError, match="is not a weight map that bridge wrote"):
        map_rows(tmp_path, read_map(tmp_path))
    (tmp_path / "map.json").unlink()
    assert map_rows(tmp_path, read_map(tmp_path)) == []


def test_weights_that_are_not_finite_are_named_and_counted():
    arrays = {"fine": np.ones(3), "bad": np.array([np.nan, np.inf, -np.inf, 1]), "whole": np.zeros(2, np.int64)}
    with pytest.raises(CheckFailed, match=r"^it: NaN or infinity in its weights \(bad: 1 NaN, 2 infinite of 4\)\. "):
        check_finite(arrays, "it")
