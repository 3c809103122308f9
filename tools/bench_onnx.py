"""ONNX Runtime: bridge's inlined ONNX beside Keras's own ONNX export of the same model.

The two take turns in one process; each round is a ratio, and the median ratio counts. Not of the transformer: Keras's
export makes an input of its places, which nothing can feed.
Usage: python tools/bench_onnx.py [--models resnet50 lstm mlp] [--rounds N] [--batch N] [--provider cuda]
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


def files(model: str, folder: Path) -> dict[str, Path]:
    """Each peer's file of the model, written here."""
    file = str(folder / f"{model}.keras")
    subprocess.run([sys.executable, str(Path(__file__).with_name("bench_models.py")), model, file], check=True)
    wanted = conversions(file, folder)
    subprocess.run(wanted[EXPORT], check=True)
    subprocess.run([*wanted[BRIDGE], "--inline"], check=True)
    return {"bridge, inlined": folder / "bridge.onnx", EXPORT: folder / "keras.onnx"}


def session(file: Path, provider: str, threads: int = 0) -> Any:
    """As ONNX Runtime alone opens it. threads: 0 is its own choice. On CUDA its products aren't rounded."""
    import onnxruntime

    from bridge.runtime import cuda, providers

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    name = providers.resolve(provider)
    if name == providers.CPU:
        return onnxruntime.InferenceSession(file, options, providers=[name])
    cuda.preload()
    chosen = [(name, providers.options(name, tf32=False)), providers.CPU]
    opened = onnxruntime.InferenceSession(file, options, providers=chosen)
    if opened.get_providers()[0] != name:
        raise SystemExit(f"no session can use {provider}: bridge eval --provider {provider} says why")
    return opened


def measure(model: str, written: dict[str, Path], batch: int, rounds: int, provider: str) -> None:
    import numpy as np

    random = np.random.default_rng(0)
    peers = {name: session(file, provider) for name, file in written.items()}
    (given,) = next(iter(peers.values())).get_inputs()
    shape = (batch, *given.shape[1:])
    x = random.integers(0, WORDS, shape, np.int32) if "int32" in given.type else random.random(shape, np.float32)
    outputs: dict[str, Any] = {}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    for number in range(rounds + 2):
        for name, peer in peers.items():
            start = time.perf_counter(), time.process_time()
            (outputs[name],) = peer.run(None, {peer.get_inputs()[0].name: x})
            if number > 1:
                spent[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    ours, theirs = spent.values()
    apart = float(np.abs(np.subtract(*outputs.values())).max())
    by_clock, by_cpu = (statistics.median(a[i] / b[i] for a, b in zip(ours, theirs, strict=True)) for i in (0, 1))
    print(f"\n{model}, batch {batch}, {provider}: milliseconds, median of {rounds}; outputs {apart:.1e} apart")
    for name, values in spent.items():
        clock, cpu = (statistics.median(each) * 1000 for each in zip(*values, strict=True))
        print(f"{name:24}{clock:9,.2f} ({cpu:9,.2f} of CPU)")
    print(f"bridge's takes {by_clock:.2f} of the time of Keras's, {by_cpu:.2f} of its CPU time", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=["resnet50", "lstm", "mlp"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--provider", default="cpu")
    options = parser.parse_args(argv)
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            written = files(model, Path(folder))
            measure(model, written, options.batch, options.rounds, options.provider)


if __name__ == "__main__":
    main()
