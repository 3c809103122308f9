"""ONNX Runtime on the CPU: bridge's inlined ONNX beside Keras's own ONNX export of the same model.

The two take turns in one process; each round is a ratio, and the median ratio counts.
Usage: python tools/bench_onnx.py [--models resnet50 transformer lstm mlp] [--rounds N] [--batch N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_convert import EXPORT, conversions
from bench_models import MODELS, WORDS

BRIDGE = "bridge convert keras2onnx"


def sessions(model: str, folder: Path) -> dict[str, Any]:
    """Each peer's session for the model, written and read here."""
    import onnxruntime

    file = str(folder / f"{model}.keras")
    subprocess.run([sys.executable, str(Path(__file__).with_name("bench_models.py")), model, file], check=True)
    wanted = conversions(file, folder)
    subprocess.run(wanted[EXPORT], check=True)
    subprocess.run([*wanted[BRIDGE], "--inline"], check=True)
    files = {"bridge, inlined": "bridge.onnx", EXPORT: "keras.onnx"}
    return {name: onnxruntime.InferenceSession(folder / each) for name, each in files.items()}


def measure(model: str, batch: int, rounds: int) -> None:
    import numpy as np

    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        peers = sessions(model, Path(folder))
    (given,) = next(iter(peers.values())).get_inputs()
    shape = (batch, *given.shape[1:])
    x = random.integers(0, WORDS, shape, np.int32) if "int32" in given.type else random.random(shape, np.float32)
    outputs: dict[str, Any] = {}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    for number in range(rounds + 2):
        for name, session in peers.items():
            start = time.perf_counter(), time.process_time()
            (outputs[name],) = session.run(None, {session.get_inputs()[0].name: x})
            if number > 1:
                spent[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    ours, theirs = spent.values()
    apart = float(np.abs(np.subtract(*outputs.values())).max())
    by_clock, by_cpu = (statistics.median(a[i] / b[i] for a, b in zip(ours, theirs, strict=True)) for i in (0, 1))
    print(f"\n{model}, batch {batch}: milliseconds, median of {rounds}; outputs {apart:.1e} apart")
    for name, values in spent.items():
        clock, cpu = (statistics.median(each) * 1000 for each in zip(*values, strict=True))
        print(f"{name:24}{clock:9,.2f} ({cpu:9,.2f} of CPU)")
    print(f"bridge's takes {by_clock:.2f} of the time of Keras's, {by_cpu:.2f} of its CPU time", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=["resnet50", "transformer", "lstm", "mlp"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args(argv)
    for model in options.models:
        measure(model, options.batch, options.rounds)


if __name__ == "__main__":
    main()
