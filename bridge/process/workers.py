"""Worker processes as their parent has them: started at the first question, asked, ended."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from typing import Any

from bridge.errors import NEEDS, BridgeError
from bridge.process.messages import ERRORS, Packed, packed, receive, send

# Without oneDNN TensorFlow's convolutions know channels_last alone on a CPU; by itself it is on for some CPUs only. Its
# own allocator never gives memory back.
ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}
_workers: dict[str, Worker] = {}


class WorkerCrashed(RuntimeError):
    """A worker process died or met a bug; the message holds its traceback or the end of its stderr."""


def worker(side: str) -> Worker:
    """The worker of `side`, started at its first use and kept for this process's life."""
    if side not in _workers or not _workers[side].alive:
        if side in _workers:
            _workers[side].stop()  # it died: what it left is taken away
        _workers[side] = Worker(side)
    return _workers[side]


def import_ahead(*modules: str) -> threading.Thread:
    """Imports modules in a thread of its own, while this one waits for a worker; what fails is left to who needs it."""

    def run() -> None:
        for module in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)

    thread = threading.Thread(target=run)  # no daemon: a process that ends in the midst of torch's import may crash
    thread.start()
    return thread


class Worker:
    """A process that runs the jobs of one side: "keras_side", "torch_side" or "runtime"."""

    def __init__(self, side: str):
        self.side = side
        self._asked = False
        self._lock = threading.Lock()  # two questions must not mix in the pipe
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
        # made by the process; what frameworks put there they don't always take away
        self.temporary = os.path.join(tempfile.gettempdir(), f"bridge-{side}-{secrets.token_hex(8)}")
        environment = ONEDNN | os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self.temporary)
        environment |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
        # -P: a file called torch.py in the user's folder must not be imported in the real one's place
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bridge.process", side, self.temporary],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
        )
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def call(self, job: str, **arguments: Any) -> Any:
        """Runs one job and returns its result; calls of several threads wait for each other.

        Raises what the job raised, if it is the user's to fix, and WorkerCrashed for anything else.
        """
        # with this process's folder, which may have changed: relative paths mean the same there
        question = packed({"job": job, "arguments": arguments, "folder": _folder()})
        with self._lock:
            kind, value = self._answer(job, question)
        if kind == "result":
            return value
        if kind in ERRORS:
            raise ERRORS[kind](value)
        raise WorkerCrashed(f"The job {job!r} failed in the {self.side} process:\n{value}")

    def _answer(self, job: str, question: Packed) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked = True
        try:
            send(self._process.stdin, question)
            return receive(self._process.stdout)
        except (EOFError, BrokenPipeError):
            code = self._process.wait()
            if code == -9:  # what Linux does to a process that takes too much
                raise BridgeError(
                    f"The {self.side} process was killed in the job {job!r}, most likely for a lack of memory.\n"
                    f"No output was written. {NEEDS}"
                ) from None
            self._stderr.seek(0)
            said = self._stderr.read()[-4000:].decode(errors="replace")
            raise WorkerCrashed(
                f"The {self.side} process ended with exit code {code} in the job {job!r}.\n{said}"
            ) from None
        except BaseException:  # Ctrl-C, or the exit that a signal asks for: anything that leaves before the answer came
            self.stop(now=True)  # its answer would be taken for the next job's
            raise

    def stop(self, *, now: bool = False) -> None:
        """Ends the process; a later `worker(side)` starts a new one. now: in the midst of what it does."""
        if now:
            self._process.kill()
            self._process.wait()
        elif self.alive:
            with contextlib.suppress(OSError):
                assert self._process.stdin is not None
                self._process.stdin.close()
            try:
                self._process.wait(timeout=2 if self._asked else 0)  # one never asked is still busy importing
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with contextlib.suppress(OSError):  # a pipe whose reader died
                stream.close()  # type: ignore[union-attr]
        shutil.rmtree(self.temporary, ignore_errors=True)
        atexit.unregister(self.stop)


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BridgeError("The folder that you are in has been deleted. Change to one that exists.") from None
