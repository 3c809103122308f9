"""Seconds and memory of a conversion, and of starting up: bridge beside Keras's own ONNX export.

Each run is a process of its own, TensorFlow's import included; the peers take turns, the median counts.
Usage: python tools/bench_convert.py [--rounds N]
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

MODELS = Path(__file__).parent.parent / "models"
WEIGHTS, ARCH = MODELS / "pretrained_model.h5", f"{MODELS / 'mnist_mlp.py'}:build"
KERAS_EXPORT = f"""
import sys
sys.path.append({str(MODELS)!r})
import mnist_mlp
model = mnist_mlp.build()
model.load_weights({str(WEIGHTS)!r})
model(__import__("numpy").zeros((1, 784)))  # a model that was never called can't be exported
model.export(sys.argv[1], format="onnx", verbose=False)
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """name -> a command that writes into `folder`, or only starts."""
    bridge = [sys.executable, "-m", "bridge"]
    return {
        "Keras export to ONNX": [sys.executable, "-c", KERAS_EXPORT, str(folder / "keras.onnx")],
        "bridge convert keras2onnx": [
            *bridge, "convert", "keras2onnx", str(WEIGHTS), "--arch", ARCH, "-o", str(folder / "bridge.onnx"),
        ],
        "bridge convert keras2torch": [
            *bridge, "convert", "keras2torch", str(WEIGHTS), "--arch", ARCH, "-o", str(folder / "bridge"),
        ],
        "python, nothing else": [sys.executable, "-c", ""],
        "bridge --help": [*bridge, "--help"],
        "import bridge": [sys.executable, "-c", "import bridge"],
        "bridge eval --help": [*bridge, "eval", "--help"],
    }  # fmt: skip


def run(command: Sequence[str]) -> tuple[float, float]:
    """(seconds, MB of memory at the peak of its largest process) of one run."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True); "
        "sys.stderr.buffer.write(done.stderr[-2000:] if done.returncode else b''); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:6])}: {done.stderr}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, int(done.stdout) * unit / 1e6


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(argv).rounds
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in commands(Path(folder)).items():
                found.setdefault(name, []).append(run(command))
    medians = {name: [statistics.median(values) for values in zip(*runs, strict=True)] for name, runs in found.items()}
    peer = medians["Keras export to ONNX"][0]
    for name, (seconds, memory) in medians.items():
        ratio = f"   {seconds / peer:.2f} of Keras's export" if name.startswith("bridge convert") else ""
        print(f"{name:28} {seconds:6.2f} s {memory:7,.0f} MB{ratio}")


if __name__ == "__main__":
    main()
