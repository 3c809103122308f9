"""ONNX Runtime itself, imported on demand and kept from writing to the user's terminal."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from bridge.errors import BridgeError

SILENT = 4  # ONNX Runtime's severity "fatal": what matters below it also arrives as an exception


def library() -> ModuleType:
    """The onnxruntime package. Raises BridgeError when it is not installed or can't be loaded."""
    if (loaded := sys.modules.get("onnxruntime")) is not None:
        return loaded
    try:
        with held_output():  # on some machines it logs failed device discovery when it is imported
            return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise BridgeError(
            f"onnxruntime can't be imported: {error}.\n"
            "Install it with: pip install onnxruntime-gpu (or onnxruntime where there is no such wheel)"
        ) from None


def errors() -> tuple[type[Exception], ...]:
    """The exceptions with which ONNX Runtime refuses a model or a call; they have no base class in common."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    kinds = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*kinds, RuntimeError, ValueError)


class Held:
    """What was written while the output was held; complete when the block has ended."""

    text: str = ""


@contextlib.contextmanager
def held_output() -> Iterator[Held]:
    """Keeps everything written to this process's stdout and stderr, by native code too, from the terminal.

    Native code writes to descriptors 1 and 2, so these are turned to a file for the time: other threads' output too.
    Python's streams are turned on their own, because in a notebook they don't lead to the descriptors.
    """
    held, python = Held(), io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()  # what was said before must not land in the file
    with tempfile.TemporaryFile() as file:
        try:
            with contextlib.ExitStack() as turned:
                for number in (1, 2):
                    with contextlib.suppress(OSError):  # closed: nothing written there can reach a terminal
                        saved = os.dup(number)
                        turned.callback(os.close, saved)
                        turned.callback(os.dup2, saved, number)
                        os.dup2(file.fileno(), number)
                with contextlib.redirect_stdout(python), contextlib.redirect_stderr(python):
                    yield held
        finally:
            file.seek(0)
            held.text = file.read().decode(errors="replace") + python.getvalue()


def logged(said: str) -> str:
    """The last thing that ONNX Runtime reported in `said`, in one line without colours, time and source line."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines() if line.strip()]
    reported = [line for line in lines if "[E:" in line or line.startswith("EP Error")] or lines
    return _plain(reported[-1]) if reported else ""


def message(error: Exception) -> str:
    """What an exception of ONNX Runtime says, in one line without code and source line."""
    return _plain(" ".join(str(error).split()))


def _plain(line: str) -> str:
    line = re.sub(r"^\S+ \S+ \[\w:[^\]]*\] ", "", line)
    line = re.sub(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
    line = re.sub(r"^(EP Error )?(/\S+:\d+ .*\) (?=[A-Z]))?", "", line)
    return line[:300].rstrip(" .")
