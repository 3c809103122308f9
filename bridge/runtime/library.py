"""ONNX Runtime itself, imported on demand and kept from writing to the user's terminal."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import IO, Any

from bridge.errors import BridgeError

SILENT = 4  # ONNX Runtime's severity "fatal": what matters below it also arrives as an exception


def library() -> ModuleType:
    """The onnxruntime package. Raises BridgeError when it is not installed or can't be loaded."""
    if "onnxruntime" in sys.modules:
        return sys.modules["onnxruntime"]
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
    """
    held = Held()
    streams: tuple[IO[Any] | None, ...] = (sys.stdout, sys.stderr)
    with tempfile.TemporaryFile() as file, contextlib.ExitStack() as back:
        _flush(streams)
        for number in (1, 2):
            try:
                saved = os.dup(number)
            except OSError:  # closed: nothing written there can reach a terminal
                continue
            back.callback(os.close, saved)
            back.callback(os.dup2, saved, number)
            os.dup2(file.fileno(), number)
        back.callback(_flush, streams)
        try:
            yield held
        finally:
            back.close()
            file.seek(0)
            held.text = file.read().decode(errors="replace")


def _flush(streams: tuple[IO[Any] | None, ...]) -> None:
    for stream in streams:
        if stream is not None and not stream.closed:
            stream.flush()


def logged(said: str) -> str:
    """The last thing that ONNX Runtime reported in `said`, in one line without colours, time and source line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    errors = [line for line in lines if "[E:" in line or "EP Error" in line] or lines
    if not errors:
        return ""
    line = re.sub(r"^\S+ \S+ \[\w:[^\]]*\] ", "", errors[-1])
    line = re.sub(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
    line = re.sub(r"^(EP Error )?(/\S+:\d+ .*\) (?=[A-Z]))?", "", line)
    return line[:300].rstrip(" .")
