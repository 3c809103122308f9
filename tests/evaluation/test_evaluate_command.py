"""`bridge eval`: what it prints and what it loads."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx_samples
import pytest
from click.testing import CliRunner
from evaluation_rows import ROWS
from onnx import helper

from bridge.cli.eval import command
from bridge.data import Data
from bridge.runtime import evaluate


def npz(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return str(folder / "d.npz")


def test_the_command_prints_what_a_person_wants_to_know_within_80_columns(tmp_path, classifier, x, labels):
    done = CliRunner().invoke(command, [str(classifier[0]), "--data", npz(tmp_path, x=x, y=labels)])
    assert done.exit_code == 0, done.output
    for word in (
        "provider  cpu",
        "accuracy  0.",
        "top-5     0.",
        "sparse_categorical_crossentropy",
        "rows/s",
        "precision",
    ):
        assert word in done.output
    assert all(len(line) <= 80 for line in done.output.splitlines()[1:])  # the first line has the user's own paths


def test_the_command_says_that_it_fell_back(tmp_path, classifier, x, labels):
    options = ["--data", npz(tmp_path, x=x, y=labels), "--provider", "qnn", "--fallback", "cpu"]
    done = CliRunner().invoke(command, [str(classifier[0]), *options])
    assert "provider  cpu" in done.output
    assert "fallback  yes, because provider qnn: no session can use it" in done.output


def test_the_command_reports_outputs_that_are_not_finite(tmp_path):
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    file = onnx_samples.save(onnx_samples.make(nodes, {"x": ["b", 2]}, {"y": ["b", 2]}), tmp_path / "m.onnx")
    data = npz(tmp_path, x=np.array([[1, 2], [0, 1]], np.float32), y=np.array([0.5, 0.5])[:, None] * np.ones(2))
    done = CliRunner().invoke(command, [str(file), "--data", data])
    assert "NOT FINITE" in done.output
    assert "1 values of y in 1 rows" in " ".join(done.output.split())


def test_the_command_prints_json(tmp_path, classifier, x, labels):
    data = npz(tmp_path, x=x, y=labels)
    done = CliRunner().invoke(command, [str(classifier[0]), "--data", data, "--json", "--batch", "64"])
    result = json.loads(done.stdout)
    assert (result["provider"], result["rows"], result["batch"]) == ("cpu", ROWS, 64)
    assert result["loss"] == pytest.approx(evaluate(classifier[0], Data({"x": x}, labels, "d")).loss)


def test_evaluating_loads_neither_tensorflow_nor_torch(tmp_path, classifier, x, labels):
    program = (
        "import sys\n"
        "from bridge.cli.eval import command\n"
        "assert 'onnxruntime' not in sys.modules and 'numpy' not in sys.modules\n"
        "command(sys.argv[1:], standalone_mode=False)\n"
        "loaded = {'tensorflow', 'keras', 'torch', 'tf2onnx', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert 'onnxruntime' in sys.modules\n"
    )
    arguments = [str(classifier[0]), "--data", npz(tmp_path, x=x, y=labels), "--part", "all"]
    done = subprocess.run([sys.executable, "-P", "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
