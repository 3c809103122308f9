"""What Keras does with every layer case and every model case, recorded once a session."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from recording import Recording

from bridge.process import ONEDNN
from bridge.torch_side.folder import write_folder


class Recorder:
    """A Keras process that records cases in the order in which they are asked for, while the tests go on."""

    def __init__(self, folder, *options):
        self.folder, self._asked = folder, set()
        script = Path(__file__).with_name("keras_recorder.py")
        # -P leaves the script's own folder out of the path, so the recorder gets it by name
        path = f"import sys, runpy; sys.path.append({str(script.parent)!r}); sys.argv[0] = {str(script)!r}; "
        command = [sys.executable, "-P", "-c", f"{path}runpy.run_path({str(script)!r}, run_name='__main__')"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process runs)
        self._process = subprocess.Popen(
            [*command, str(folder), *options], stdin=subprocess.PIPE, stderr=self._errors, env=ONEDNN | os.environ
        )

    def ask(self, names):
        new = [name for name in dict.fromkeys(names) if name not in self._asked]
        self._asked |= {*new}
        self._process.stdin.write("".join(f"{name}\n" for name in new).encode())
        self._process.stdin.flush()

    def wait(self, file):
        """The path of a file that the process has written or will write."""
        while not (self.folder / file).exists():
            if self._process.poll() is not None and not (self.folder / file).exists():
                self._errors.seek(0)
                raise AssertionError(self._errors.read()[-5000:].decode(errors="replace"))
            time.sleep(0.02)
        return self.folder / file

    def close(self):
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
        self._errors.close()


def _cases(request, fixture):
    """The cases of this session's tests that use the fixture."""
    items = [item for item in request.session.items if fixture in getattr(item, "fixturenames", ())]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return [str(each["case"]) for each in params if "case" in each]


@pytest.fixture(scope="session")
def recorder(request, tmp_path_factory):
    """The Keras process, at work on all cases of this session."""
    recorder = Recorder(tmp_path_factory.mktemp("recorded"))
    recorder.ask(_cases(request, "recorded"))
    yield recorder
    recorder.close()


@pytest.fixture(scope="session")
def recorded(recorder):
    """case -> its Recording."""
    cache = {}

    def one(case):
        if str(case) not in cache:
            recorder.ask([str(case)])
            cache[str(case)] = Recording(recorder.wait(f"{case}.npz"))
        return cache[str(case)]

    return one


@pytest.fixture(scope="session")
def ran_alone(request, recorded, tmp_path_factory):
    """(case, rows) -> the outputs of that case's model.py, run where bridge can't be imported; one process for all."""
    folder = tmp_path_factory.mktemp("alone")
    cases = [recorded(name) for name in dict.fromkeys(_cases(request, "ran_alone"))]
    cases = [case for case in cases if "proto" in case.entries]
    for case in cases:
        write_folder(case.module(), folder / case.name)
        inputs = {f"x{rows}/{name}": x for rows in (1, 5) for name, x in case.under(f"x{rows}").items()}
        np.savez(folder / f"{case.name}.npz", **inputs)
    script = Path(__file__).with_name("run_alone.py")
    done = subprocess.run([sys.executable, "-I", script, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = {case.name: case.graph.outputs for case in cases}

    def found(case, rows):
        with np.load(folder / f"{case}.out.npz") as file:
            got = {name.partition("/")[2]: file[name] for name in file.files if name.startswith(f"y{rows}/")}
        return got if "" not in got else {outputs[str(case)][0].name: got[""]}

    return found
