"""What Keras does with every layer case and every model case, recorded once a session."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recording import Recording

from bridge.torch_side.folder import write_folder


@pytest.fixture(scope="session")
def recorded_folder(tmp_path_factory):
    """The folder with one recording a case; Keras runs in a process of its own and only once."""
    folder = tmp_path_factory.mktemp("recorded")
    script = Path(__file__).with_name("keras_recorder.py")
    # -P leaves the script's own folder out of the path, so the recorder gets it by name
    environment_path = f"import sys, runpy; sys.path.append({str(script.parent)!r}); sys.argv[0] = {str(script)!r}; "
    command = [sys.executable, "-P", "-c", environment_path + f"runpy.run_path({str(script)!r}, run_name='__main__')"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


@pytest.fixture(scope="session")
def recorded(recorded_folder):
    """case -> its Recording."""
    cache = {}

    def one(case):
        if str(case) not in cache:
            cache[str(case)] = Recording(recorded_folder / f"{case}.npz")
        return cache[str(case)]

    return one


@pytest.fixture(scope="session")
def ran_alone(recorded_folder, tmp_path_factory):
    """(case, rows) -> the outputs of that case's model.py, run where bridge can't be imported; one process for all."""
    folder = tmp_path_factory.mktemp("alone")
    cases = [Recording(file) for file in sorted(recorded_folder.glob("*.npz"))]
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
