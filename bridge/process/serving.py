"""A worker's own side: it answers one question after the other until its parent is gone."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from bridge.errors import BridgeError, CheckFailed, shortage
from bridge.process.messages import ERRORS, packed, receive, send
from bridge.process.rivals import claim

# Keras imports scikit-learn where that is installed: most of a second, for wrappers that are no models
NEEDLESS = {"keras_side": ("sklearn",)}


@contextlib.contextmanager
def without(*packages: str) -> Iterator[None]:
    """Optional packages that are not there for what is imported meanwhile, and are again afterwards."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def serve_within(side: str, temporary: str) -> None:
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
    with contextlib.suppress(Exception), without(*NEEDLESS.get(side, ())):
        # before it is asked, while its parent still prepares the question; what fails here fails again there
        importlib.import_module(f"bridge.{side}.jobs")
    while True:
        try:
            message = receive(questions)
        except EOFError:
            return
        try:
            jobs = importlib.import_module(f"bridge.{side}.jobs").JOBS
            os.chdir(message["folder"])
            answer = packed(("result", jobs[message["job"]](**message["arguments"])))
        except (BridgeError, CheckFailed) as error:
            kind = next(k.__name__ for k in type(error).__mro__ if k.__name__ in ERRORS)
            answer = packed((kind, str(error)))
        except Exception as error:
            if (known := shortage(error)) is not None:
                answer = packed(("BridgeError", str(known)))
            else:  # a bug: its traceback crosses to the parent, which raises it there
                answer = packed(("bug", traceback.format_exc()))
        try:
            send(answers, answer)
        except BrokenPipeError:  # the parent was killed
            return
