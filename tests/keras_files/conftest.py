"""One Keras process for all tests of Keras files, and the files it made."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bridge.errors import BridgeError


class KerasProcess:
    """Keras_process.py, one for all tests of this folder."""

    def __init__(self):
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        script = Path(__file__).with_name("keras_process.py")
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def __call__(self, job, **arguments):
        self.process.stdin.write(json.dumps({"job": job, "arguments": arguments}, default=str) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise RuntimeError(self.said.read()[-3000:].decode(errors="replace"))
        answer = json.loads(line)
        if "refused" in answer:
            raise BridgeError(answer["refused"])
        return answer["result"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.said.close()


@pytest.fixture(scope="session")
def keras():
    process = KerasProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def made(keras, tmp_path_factory):
    """case -> (folder with that model in all formats, what Keras said of it); each is made once."""
    cache = {}

    def one(case, **options):
        key = (case, *options)
        if key not in cache:
            folder = tmp_path_factory.mktemp(case)
            cache[key] = folder, keras("make", case=case, folder=folder, **options)
        return cache[key]

    return one


@pytest.fixture(scope="session")
def refusal(keras):
    """Runs a job that must be refused in one to three lines that match `text`; returns the message."""

    def run(text, job="read", **arguments):
        with pytest.raises(BridgeError, match=text) as caught:
            keras(job, **arguments)
        assert 1 <= len(str(caught.value).splitlines()) <= 3
        return str(caught.value)

    return run


@pytest.fixture(scope="session")
def saved(keras, tmp_path_factory):
    """kind -> (folder of a SavedModel that the tests' process made, its outputs); each is made once."""
    cache = {}

    def one(job, **options):
        key = (job, *options.values())
        if key not in cache:
            folder = tmp_path_factory.mktemp(job) / "saved"
            cache[key] = folder, keras(job, folder=folder, **options)
        return cache[key]

    return one
