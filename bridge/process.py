"""Worker processes: one framework each, many jobs, their chatter held back.

TensorFlow and torch must not share a process: TensorFlow's wheels load their LLVM with RTLD_GLOBAL and triton, which
torch loads on demand, then crashes on it with no traceback. So each side runs in a worker of its own, started here.
A job is a function of `bridge.<side>.jobs.JOBS`; arguments and result are JSON values with numpy arrays among them.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from bridge.errors import NEEDS, BridgeError, CheckFailed, shortage

Packed = tuple[bytes, list[np.ndarray]]  # a message: JSON with its lengths before it, then the arrays in it
RIVAL = {"keras_side": "torch", "torch_side": "tensorflow"}
_ERRORS = {kind.__name__: kind for kind in (BridgeError, CheckFailed)}
_workers: dict[str, Worker] = {}


class WorkerCrashed(RuntimeError):
    """A worker process died or met a bug; the message holds its traceback or the end of its stderr."""


def claim(side: str) -> None:
    """Declares that this process is about to import the framework of `side`; refused if the other one is loaded."""
    rival = RIVAL.get(side)
    if sys.modules.get(rival or "") is not None:
        mine = "TensorFlow" if side == "keras_side" else "torch"
        raise BridgeError(
            f"{rival} is already imported in this process, and {mine} must not share a process with it (it can crash "
            "without a traceback).\nUse bridge from a process that has not imported it, or the command line."
        )


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


# Without oneDNN TensorFlow's convolutions know channels_last alone on a CPU; by itself it is on for some CPUs only. Its
# own allocator never gives memory back.
ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}


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
        question = _packed({"job": job, "arguments": arguments, "folder": _folder()})
        with self._lock:
            kind, value = self._answer(job, question)
        if kind == "result":
            return value
        if kind in _ERRORS:
            raise _ERRORS[kind](value)
        raise WorkerCrashed(f"The job {job!r} failed in the {self.side} process:\n{value}")

    def _answer(self, job: str, question: Packed) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked = True
        try:
            _send(self._process.stdin, question)
            return _receive(self._process.stdout)
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


def _packed(message: Any) -> Packed:
    """A message ready to be sent. Raises TypeError for what can't cross to another process."""
    arrays: list[np.ndarray] = []

    def pack(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(np.ascontiguousarray(value).reshape(value.shape))
            return {"__array__": len(arrays) - 1, "dtype": _dtype(value.dtype), "shape": value.shape}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, dict):
            return {key: pack(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [pack(item) for item in value]
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        return value

    header = json.dumps(pack(message)).encode()
    return struct.pack("<QQ", len(header), len(arrays)) + header, arrays


def _dtype(dtype: np.dtype[Any]) -> str:
    if dtype.isbuiltin == 2:  # bfloat16 and its like: their str says only how many bytes they have
        return dtype.name
    if dtype.kind not in "biuf":
        raise TypeError(f"an array of the type {dtype} can't be sent to another process")
    return dtype.str  # with the order of its bytes


def _send(stream: IO[bytes], message: Packed) -> None:
    header, arrays = message
    stream.write(header)
    for array in arrays:
        stream.write(struct.pack("<Q", array.nbytes))
        stream.write(array.tobytes())
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    length, count = struct.unpack("<QQ", _exactly(stream, 16))
    header = json.loads(_exactly(stream, length))
    blobs = [_exactly(stream, struct.unpack("<Q", _exactly(stream, 8))[0]) for _ in range(count)]

    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            if "__array__" in value:
                return np.frombuffer(bytearray(blobs[value["__array__"]]), value["dtype"]).reshape(value["shape"])
            return {key: unpack(item) for key, item in value.items()}
        if isinstance(value, list):
            return [unpack(item) for item in value]
        return value

    return unpack(header)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


# Keras imports scikit-learn where that is installed: most of a second, for wrappers that are no models
_NEEDLESS = {"keras_side": ("sklearn",)}


@contextlib.contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Optional packages that are not there for what is imported meanwhile, and are again afterwards."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def _serve_within(side: str, temporary: str) -> None:
    """Serves until the parent is gone; the folder for temporary files is there meanwhile."""

    def leave(code: int, *_: Any) -> None:
        sys.stderr.flush()
        shutil.rmtree(temporary, ignore_errors=True)  # the parent does it too, but where it was killed
        os._exit(code)  # answers are sent and files closed; TensorFlow would take a second to tear itself down

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    for name in ("SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:  # Windows has no SIGHUP
            signal.signal(number, leave)
    os.mkdir(temporary, 0o700)
    try:
        _serve(side)
    except BaseException:
        traceback.print_exc()
        leave(1)
    leave(0)


def _serve(side: str) -> None:
    # The pipe keeps the real stdout; whatever a library prints goes to stderr, which the parent holds back.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    questions = sys.stdin.buffer
    claim(side)
    with contextlib.suppress(Exception), _without(*_NEEDLESS.get(side, ())):
        # before it is asked, while its parent still prepares the question; what fails here fails again there
        importlib.import_module(f"bridge.{side}.jobs")
    while True:
        try:
            message = _receive(questions)
        except EOFError:
            return
        try:
            jobs = importlib.import_module(f"bridge.{side}.jobs").JOBS
            os.chdir(message["folder"])
            answer = _packed(("result", jobs[message["job"]](**message["arguments"])))
        except (BridgeError, CheckFailed) as error:
            kind = next(k.__name__ for k in type(error).__mro__ if k.__name__ in _ERRORS)
            answer = _packed((kind, str(error)))
        except Exception as error:
            if (known := shortage(error)) is not None:
                answer = _packed(("BridgeError", str(known)))
            else:  # a bug: its traceback crosses to the parent, which raises it there
                answer = _packed(("bug", traceback.format_exc()))
        try:
            _send(answers, answer)
        except BrokenPipeError:  # the parent was killed
            return


if __name__ == "__main__":
    _serve_within(*sys.argv[1:])
