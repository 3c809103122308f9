"""Seconds and memory of a conversion, and of starting up: bridge beside Keras's own ONNX export of the same file.

Each run is a process of its own, TensorFlow's import included; the peers take turns, the median counts. CPU seconds are
those of all its processes together: on a machine that others use too, they tell more than the clock.
Usage: python tools/bench_convert.py [--rounds N] [--models mlp resnet50 transformer lstm thousand]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench_models import MODELS

KERAS_EXPORT = """
import sys, keras
model = keras.models.load_model(sys.argv[1])
model(keras.ops.zeros((1, *model.input_shape[1:]), model.inputs[0].dtype))  # one never called can't be exported
model.export(sys.argv[2], format="onnx", verbose=False)
"""
EXPORT = "Keras export to ONNX"


def conversions(model: str, folder: Path) -> dict[str, list[str]]:
    """name -> a command that converts `model`, a .keras file, into `folder`."""
    bridge = [sys.executable, "-P", "-m", "bridge", "convert"]
    return {
        EXPORT: [sys.executable, "-P", "-c", KERAS_EXPORT, model, str(folder / "keras.onnx")],
        "bridge convert keras2onnx": [*bridge, "keras2onnx", model, "-o", str(folder / "bridge.onnx")],
        "bridge convert keras2torch": [*bridge, "keras2torch", model, "-o", str(folder / "bridge")],
    }


def starts() -> dict[str, list[str]]:
    bridge = [sys.executable, "-P", "-m", "bridge"]
    return {
        "python, nothing else": [sys.executable, "-P", "-c", ""],
        "bridge --help": [*bridge, "--help"],
        "import bridge": [sys.executable, "-P", "-c", "import bridge"],
        "bridge eval --help": [*bridge, "eval", "--help"],
    }


def run(command: Sequence[str]) -> tuple[float, float, float]:
    """(seconds, CPU seconds, MB of memory at the peak of its largest process) of one run."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True); "
        "sys.stderr.buffer.write(done.stderr[-2000:] if done.returncode else b''); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(done.returncode)"
    )
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:6])}: {done.stderr}")
    cpu, memory = done.stdout.split()
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, float(cpu), int(memory) * unit / 1e6


def measure(title: str, model: str | None, rounds: int) -> None:
    """Prints a table: the conversions of a .keras file, or, without one, what starting costs."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in (conversions(model, Path(folder)) if model else starts()).items():
                found.setdefault(name, []).append(run(command))
    medians = {name: [statistics.median(values) for values in zip(*runs, strict=True)] for name, runs in found.items()}
    print(f"\n{title:28} {'seconds':>8} {'of CPU':>8} {'memory':>10}")
    for name, (seconds, cpu, memory) in medians.items():
        ratio = ""
        if model and name != EXPORT:
            peer, its = medians[EXPORT][:2]
            ratio = f"   {seconds / peer:.2f} of Keras's export, {cpu / its:.2f} of its CPU"
        print(f"{name:28} {seconds:8.2f} {cpu:8.2f} {memory:7,.0f} MB{ratio}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=["mlp", "resnet50", "transformer"])
    options = parser.parse_args(argv)
    maker = str(Path(__file__).with_name("bench_models.py"))
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            file = f"{folder}/{model}.keras"
            run([sys.executable, maker, model, file])
            measure(model, file, options.rounds)
    measure("starting up", None, options.rounds)


if __name__ == "__main__":
    main()
