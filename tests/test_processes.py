"""The frameworks stay apart: by folder, by process, and out of commands that don't need them."""

import ast
import importlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from bridge.cli import cli
from bridge.errors import BridgeError, shortage
from bridge.keras_side.client import ask, traced
from bridge.keras_side.source import Source
from bridge.process import Worker, WorkerCrashed, claim, import_ahead, worker, workers
from bridge.process.serving import without

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bridge"
HOME = {
    "tensorflow": "keras_side",
    "keras": "keras_side",
    "tf2onnx": "keras_side",
    "tf_keras": "keras2_side",
    "h5py": "keras_side",
    "torch": "torch_side",
    "safetensors": "torch_side",
    "onnxruntime": "runtime",
}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def typed_only(file):
    """Modules imported under TYPE_CHECKING alone: they cost and load nothing."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            names |= {n.module.split(".")[0] for n in ast.walk(node) if isinstance(n, ast.ImportFrom) and n.module}
    return names


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_each_framework_is_imported_on_its_own_side_only(file):
    folder = file.relative_to(PACKAGE).parts[0]
    for name in set(imported(file)) - typed_only(file):
        assert HOME.get(name, folder) == folder, f"{file.name} imports {name}"


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_help_imports_no_framework():
    code = "from bridge.cli import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass"
    assert not modules_after(code) & {*HOME, "onnx", "numpy", "rich"}


def test_import_bridge_is_light():
    assert not modules_after("import bridge; bridge.__version__; bridge.BridgeError") & {*HOME, "onnx", "numpy"}


def test_keras_jobs_never_load_torch_nor_what_keras_does_not_need():
    hidden = "from bridge.process.serving import NEEDLESS, without\nwith without(*NEEDLESS['keras_side']):\n"
    loaded = modules_after(f"{hidden}    import bridge.keras_side.jobs")
    assert "keras" in loaded
    assert not loaded & {"torch", "sklearn"}


def test_torch_jobs_never_load_tensorflow():
    assert not modules_after("import bridge.torch_side.jobs") & {"tensorflow", "keras"}


def test_what_is_hidden_from_an_import_is_there_afterwards(monkeypatch, tmp_path):
    (tmp_path / "needless.py").write_text("here = True")
    monkeypatch.syspath_prepend(tmp_path)
    with without("needless", "numpy"), pytest.raises(ImportError):
        importlib.import_module("needless")
    assert importlib.import_module("needless").here
    assert sys.modules["numpy"] is np  # what is loaded already is not hidden


def test_an_import_ahead_that_fails_is_left_to_who_needs_it(monkeypatch, tmp_path):
    (tmp_path / "broken_one.py").write_text("1 / 0")
    (tmp_path / "whole_one.py").write_text("here = True")
    monkeypatch.syspath_prepend(tmp_path)
    import_ahead("broken_one", "whole_one").join()
    assert "whole_one" in sys.modules
    with pytest.raises(ZeroDivisionError):
        importlib.import_module("broken_one")


def test_a_worker_that_was_asked_nothing_ends_when_it_is_stopped():
    made = Worker("keras_side")
    made.stop()
    assert not made.alive


STARTED = "try:\n    made.call('no such job')\nexcept process.WorkerCrashed:\n    pass\n"


@pytest.mark.parametrize(
    "end",
    [
        "",
        "os.kill(os.getpid(), signal.SIGINT)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.killpg(0, signal.SIGTERM)",
        "made._process.kill()",
    ],
)
def test_a_worker_leaves_no_temporary_files_however_it_ends(tmp_path, end):
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom bridge import process\n"
        f"{'' if end else 'import bridge.runtime'}\nmade = process.worker('runtime')\n"
        f"{STARTED}Path(made.temporary, 'left').write_text('')\nprint(made.temporary, flush=True)\n{end}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        start_new_session=True,
        check=False,
    )
    assert done.stdout.startswith(str(tmp_path).encode())
    while os.listdir(tmp_path):  # of a parent that was killed the worker itself takes the folder away
        time.sleep(0.01)


def test_a_second_framework_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    with pytest.raises(BridgeError, match="tensorflow is already imported in this process, and torch must not share"):
        claim("torch_side")
    monkeypatch.setitem(sys.modules, "torch", object())
    with pytest.raises(BridgeError, match="torch is already imported in this process, and TensorFlow must not share"):
        claim("keras_side")


def test_a_bug_in_a_job_keeps_its_traceback():
    with pytest.raises(WorkerCrashed, match=r"Traceback[\s\S]*KeyError: 'no such job'"):
        worker("runtime").call("no such job")
    assert worker("runtime").alive


def test_a_dead_worker_is_told_and_replaced():
    first = worker("runtime")
    first._process.kill()
    first._process.wait()
    second = worker("runtime")
    assert second is not first
    assert second.alive


def test_a_lack_of_memory_or_room_is_told_in_one_message(monkeypatch):
    assert "The disk is full" in str(shortage(OSError(28, "No space left on device")))
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")):
        assert "about twice the memory of its weights" in str(shortage(error))
    assert shortage(RuntimeError("another")) is None
    made = Worker("runtime")

    def killed(stream):
        made._process.kill()
        raise EOFError

    monkeypatch.setattr(workers, "receive", killed)
    with pytest.raises(BridgeError, match="runtime process was killed in the job 'run', most likely for a lack of mem"):
        made.call("run")


def test_a_file_in_the_users_folder_is_not_imported_in_a_packages_place(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    made = Worker("runtime")
    try:
        with pytest.raises(WorkerCrashed, match="no such job"):
            made.call("no such job")
    finally:
        made.stop()


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    """An ONNX file whose output is its input, for any number of rows."""
    file = tmp_path_factory.mktemp("same") / "same.onnx"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return file


def test_arrays_cross_with_the_order_of_their_bytes(same):
    x = np.arange(6, dtype=">f4").reshape(3, 2)
    result = worker("runtime").call("run", model=same, inputs={"x": x})
    np.testing.assert_array_equal(result["outputs"]["y"], np.arange(6).reshape(3, 2))


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([{}]), np.array([1j])], ids=["text", "object", "complex"]
)
def test_an_array_that_means_nothing_elsewhere_is_not_sent(same, array):
    with pytest.raises(TypeError, match="can't be sent to another process"):
        worker("runtime").call("run", model=same, inputs={"x": array})
    assert worker("runtime").call("run", model=same, inputs={"x": np.zeros((1, 2), np.float32)})


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt, MemoryError])
def test_a_question_that_was_left_is_not_answered_to_the_next(same, monkeypatch, stop):
    made = worker("runtime")

    def leave(stream):
        raise stop

    monkeypatch.setattr(workers, "receive", leave)
    with pytest.raises(stop):
        made.call("run", model=same, inputs={"x": np.ones((1, 2), np.float32)})
    monkeypatch.undo()
    assert not made.alive
    result = worker("runtime").call("run", model=same, inputs={"x": np.zeros((1, 2), np.float32)})
    assert not result["outputs"]["y"].any()


def test_threads_get_the_answers_to_their_own_questions(same):
    made, found = worker("runtime"), {}

    def ask(number):
        for _ in range(5):
            x = np.full((number, 2), number, np.float32)
            found.setdefault(number, []).append(made.call("run", model=same, inputs={"x": x})["outputs"]["y"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, values in found.items():
        assert [value.shape for value in values] == [(number, 2)] * 5
        assert all((value == number).all() for value in values)


def test_a_deleted_working_folder_is_one_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.rmdir(tmp_path)
    with pytest.raises(BridgeError, match="The folder that you are in has been deleted"):
        worker("runtime").call("run")


def test_a_mistake_is_one_message_and_exit_code_2_and_nothing_of_the_users_folder_is_imported(tmp_path):
    for name in ("torch", "click", "onnx"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    words = [sys.executable, "-m", "bridge", "convert", "torch2onnx", "none", "-o", "o.onnx"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "bridge: none: is not a bridge folder (it has no model.onnx)."
    assert "Traceback" not in done.stderr


def test_python_m_bridge_works_like_bridge():
    done = subprocess.run([sys.executable, "-m", "bridge", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("bridge, version")


def test_a_mistyped_command_is_told_with_the_one_it_is_like():
    done = CliRunner().invoke(cli, ["convrt", "a.keras"])
    assert done.exit_code == 2
    assert "No such command 'convrt'. Did you mean convert?" in done.output


def test_a_model_kept_for_the_float64_run_is_read_again_when_its_file_changed(tmp_path):
    file = tmp_path / "weights.h5"
    with h5py.File(file, "w") as made:
        made.attrs["layer_names"] = ["dense"]
        made["dense/dense/kernel:0"] = np.ones((2, 1), np.float32)
        made["dense/dense/bias:0"] = np.zeros(1, np.float32)
        made["dense"].attrs["weight_names"] = ["dense/kernel:0", "dense/bias:0"]
    source = Source(str(file), mlp="2-1:linear")
    (name,) = traced(source).outputs
    x = {"input_layer": np.ones((1, 2), np.float32)}

    def exact():
        return ask("run", source=asdict(source), inputs=x, double=True)["outputs"][name].item()

    assert exact() == 2
    with h5py.File(file, "r+") as opened:
        opened["dense/dense/bias:0"][...] = 1
    os.utime(file, ns=(1, 1))
    assert exact() == 3
