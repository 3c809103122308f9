"""What Keras does with every layer case and every model case, recorded once a session."""

import collections
import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from keras_client import KerasProcess
from recording import Recording

from bridge.process import ONEDNN
from bridge.torch_side.folder import write_folder

os.environ |= (
    ONEDNN | {"ORT_DISABLE_TELEMETRY": "1"} | os.environ
)  # for all processes that tests start, as bridge's own workers have it


RECORDED = {
    *("test_applications.py", "test_augmentation.py", "test_cuda.py", "test_layer_table.py", "test_layers.py"),
    *("test_models.py", "test_training_epoch.py", "test_training_keras.py"),
}  # files with tests that need the recorder

torch.set_num_threads(1)  # tensors are small here, and the other core is the Keras process's


class Recorder:
    """A Keras process that records the cases one after the other while the tests go on.

    It starts with the first that `folder` lacks.
    """

    def __init__(self, folder, *options):
        self._options, self.folder, self._asked, self._waiting = options, folder, set(), collections.deque()
        self._process, self._starting, self._closed = None, threading.Lock(), threading.Event()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process runs)
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    def _running(self):
        with self._starting:
            if self._process is None:
                self._process = self._start()
        return self._process.poll() is None

    def _start(self):
        script = Path(__file__).with_name("keras_recorder.py")
        # -P leaves the script's own folder out of the path, so the recorder gets it by name
        path = f"import sys, runpy; sys.path.append({str(script.parent)!r}); sys.argv[0] = {str(script)!r}; "
        command = [sys.executable, "-P", "-c", f"{path}runpy.run_path({str(script)!r}, run_name='__main__')"]
        return subprocess.Popen(
            [*command, str(self.folder), *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, names, first=False):
        """Queues cases; `first` those that a test waits for."""
        new = [name for name in dict.fromkeys(names) if first or name not in self._asked]
        self._asked |= {*new}
        if first:
            self._waiting.extendleft(new)
        else:
            self._waiting.extend(new)

    def wait(self, file):
        """The path of a file that the process has written or will write."""
        while not (self.folder / file).exists():
            if not self._running() and not (self.folder / file).exists():
                self._errors.seek(0)
                raise AssertionError(self._errors.read()[-5000:].decode(errors="replace"))
            time.sleep(0.01)
        return self.folder / file

    def close(self):
        self._closed.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._feeder.join()
        for pipe in (self._process.stdin, self._process.stdout) if self._process else ():
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._errors.close()

    def _feed(self):
        """Gives the process one case at a time, so that one which a test waits for need not wait for all others."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            while not self._closed.is_set():
                if not self._waiting:
                    time.sleep(0.01)
                    continue
                name = self._waiting.popleft()
                if not (self.folder / f"{name}.npz").exists():
                    if not self._running():
                        return
                    print(name, file=self._process.stdin, flush=True)
                    self._process.stdout.readline()


def needs_recorder(item):
    return "recorder" in getattr(item, "fixturenames", ())


def pytest_addoption(parser):
    parser.addoption("--recorded", metavar="FOLDER", help="keep there what Keras did, and record only what is missing")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Two processes share the tests: the files of RECORDED, and all others."""
    from xdist.scheduler import LoadScopeScheduling

    class ByNeed(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "recorded" if Path(nodeid.partition("::")[0]).name in RECORDED else "others"

    return ByNeed(config, log)


def pytest_collection_modifyitems(items):
    """In the order in which the recorder, which works beside the tests, gets to what they need: by then it is done."""

    def place(item):
        trains, slow = "truth" in getattr(item, "fixturenames", ()), item.get_closest_marker("slow") is not None
        return needs_recorder(item), trains, slow

    items.sort(key=place)
    strays = {item.path.name for item in items if needs_recorder(item)} - RECORDED
    assert not strays, f"they need the recorder: add them to RECORDED in conftest.py: {strays}"


def pytest_collection_finish():
    """Ten thousand tests, and all that was imported, need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


def _cases(request, fixture, module=None):
    """The cases of this session's tests that use the fixture; of one module."""
    items = [item for item in request.session.items if fixture in getattr(item, "fixturenames", ())]
    items = [item for item in items if module in (None, item.module)]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return [str(each["case"]) for each in params if "case" in each]


@pytest.fixture(scope="session", autouse=True)
def temporary(tmp_path_factory):
    """Whatever the tests and their processes leave behind lies where pytest tidies up."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))


@pytest.fixture(scope="session")
def recorder(request, temporary, tmp_path_factory):
    """The Keras process, at work on all cases of this session."""
    kept = request.config.getoption("--recorded")
    recorder = Recorder(Path(kept) if kept else tmp_path_factory.mktemp("recorded"))
    recorder.ask(_cases(request, "recorded"))
    trained = [item.module for item in request.session.items if "truth" in getattr(item, "fixturenames", ())]
    recorder.ask([module.to_record(recorder.folder) for module in dict.fromkeys(trained)])  # last: it takes a minute
    yield recorder
    recorder.close()


@pytest.fixture(scope="session", autouse=True)
def at_work(request, temporary):
    """Starts the Keras process before the first test, where a later one will need it: not in each of two processes."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    if alone and any(needs_recorder(item) for item in request.session.items):
        request.getfixturevalue("recorder")


@pytest.fixture(scope="session")
def recorded(recorder):
    """case -> its Recording."""
    cache = {}

    def one(case):
        if str(case) not in cache:
            if not (recorder.folder / f"{case}.npz").exists():
                recorder.ask([str(case)], first=True)
            cache[str(case)] = Recording(recorder.wait(f"{case}.npz"))
        return cache[str(case)]

    return one


@pytest.fixture(scope="session")
def keras():
    """The Keras process: job, arguments -> result. Beside the one that records."""
    process = KerasProcess()
    yield process
    process.close()


@pytest.fixture(scope="module")
def alone(request, recorded, tmp_path_factory):
    """A process that runs the model.py of this module's cases where bridge can't be imported; its folder.

    Modules ask for it with their first test, so that it works beside the others.
    """
    folder = tmp_path_factory.mktemp("alone")
    for name in dict.fromkeys(_cases(request, "ran_alone", request.module)):
        with contextlib.suppress(Exception):  # what fails here fails in the tests of its own case
            case = recorded(name)
            inputs = {f"x{rows}/{name}": x for rows in (1, 5) for name, x in case.under(f"x{rows}").items()}
            np.savez(folder / f"{case.name}.npz", **inputs)
            write_folder(case.module(), folder / case.name)
    script = Path(__file__).with_name("run_alone.py")
    with open(folder / "errors.txt", "wb") as errors:
        process = subprocess.Popen([sys.executable, "-I", script, folder], stderr=errors)
    yield process, folder
    process.kill()
    process.wait()


@pytest.fixture
def ran_alone(alone, recorded):
    """(case, rows) -> the outputs of that case's model.py."""
    process, folder = alone

    def found(case, rows):
        assert process.wait() == 0, (folder / "errors.txt").read_text()[-3000:]
        with np.load(folder / f"{case}.out.npz") as file:
            got = {name.partition("/")[2]: file[name] for name in file.files if name.startswith(f"y{rows}/")}
        return got if "" not in got else {recorded(case).graph.outputs[0].name: got[""]}

    return found
