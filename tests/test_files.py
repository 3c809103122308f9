"""Outputs are whole or absent, and nothing of the user's is lost."""

import os
import signal
import subprocess
import sys

import pytest

from bridge.errors import BridgeError
from bridge.files import FOLDER_FILES, existing_file, inside, refuse_input_as_output, whole_file, whole_folder


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    with whole_file(target) as part:
        part.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="stop"), whole_file(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise ValueError("stop")
    assert not os.listdir(tmp_path)


def test_a_failed_write_with_force_keeps_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError, match="stop"), whole_file(tmp_path / "a.txt", force=True) as part:
        part.write_text("half")
        raise ValueError("stop")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_an_existing_file_is_not_replaced_without_force(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(BridgeError, match=r"a.txt: exists already\. .* --force"), whole_file(tmp_path / "a.txt"):
        raise AssertionError("must not get here")
    with whole_file(tmp_path / "a.txt", force=True) as part:
        part.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(BridgeError, match="exists already"), whole_file(tmp_path / "a.txt") as part:
        part.write_text("ours")
        (tmp_path / "a.txt").write_text("theirs")
    assert (tmp_path / "a.txt").read_text() == "theirs"


def test_a_folder_appears_whole_and_keeps_foreign_files_when_replaced(tmp_path):
    for content in ("first", "second"):
        with whole_folder(tmp_path / "d", force=content == "second") as part:
            (part / "map.json").write_text(content)
        if content == "first":
            (tmp_path / "d" / "mine.txt").write_text("mine")
    assert (tmp_path / "d" / "map.json").read_text() == "second"
    assert (tmp_path / "d" / "mine.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["d"]


def test_a_replaced_folder_keeps_nothing_of_the_old_network(tmp_path):
    with whole_folder(tmp_path / "d") as part:
        for name in (*FOLDER_FILES, "notes.txt"):
            (part / name).write_text("old")
    with whole_folder(tmp_path / "d", force=True) as part:
        (part / "map.json").write_text("new")
    assert {p.name: p.read_text() for p in (tmp_path / "d").iterdir()} == {"map.json": "new", "notes.txt": "old"}


def test_a_link_is_replaced_and_the_folder_behind_it_left(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "map.json").write_text("old")
    (tmp_path / "d").symlink_to(tmp_path / "real")
    with whole_folder(tmp_path / "d", force=True) as part:
        (part / "map.json").write_text("new")
    assert (tmp_path / "d" / "map.json").read_text() == "new"
    assert (tmp_path / "real" / "map.json").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["d", "real"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    with whole_folder(tmp_path / "d") as part:
        (part / "map.json").write_text("old")
    with pytest.raises(ValueError, match="stop"), whole_folder(tmp_path / "d", force=True) as part:
        (part / "map.json").write_text("new")
        raise ValueError("stop")
    assert (tmp_path / "d" / "map.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["d"]


@pytest.mark.parametrize(("name", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_during_a_write_leaves_nothing(tmp_path, name, code):
    program = (
        "import os, signal, sys\nfrom bridge.cli import _stop\nfrom bridge.files import whole_folder\n"
        "signal.signal(signal.SIGTERM, _stop)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what runs in the background may ignore it
        f"with whole_folder({str(tmp_path / 'd')!r}) as part:\n"
        f"    (part / 'x').write_text('x'); os.kill(os.getpid(), {int(name)})\n    sys.exit('not reached')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == code, done.stderr  # it came as far as the signal
    assert not os.listdir(tmp_path)


def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(BridgeError, match=r"a\.txt: could not be written: No space left"),
        whole_file(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    with pytest.raises(BridgeError, match="lies outside its own folder"):
        inside(tmp_path, name, tmp_path / "m.onnx")


def test_a_link_that_leads_out_of_its_folder_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(BridgeError, match="lies outside its own folder"):
        inside(tmp_path / "in", "link", tmp_path / "in" / "m.onnx")


def test_missing_and_foreign_inputs_are_named(tmp_path):
    with pytest.raises(BridgeError, match=r"no\.h5: no such file \(the model\)"):
        existing_file(tmp_path / "no.h5", "the model")
    with pytest.raises(BridgeError, match="the model must be a file, this is a folder"):
        existing_file(tmp_path, "the model")


def test_an_output_that_would_replace_an_input_is_refused(tmp_path):
    with pytest.raises(BridgeError, match="would replace the input"):
        refuse_input_as_output(tmp_path, tmp_path / "deep" / "m.h5")
