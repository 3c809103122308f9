"""Evaluation rows per second of the tutorial's MLP: bridge beside a bare ONNX Runtime loop and keras.predict.

Each peer runs in a process of its own, twice in turn with the others, and its best counts: python tools/bench_eval.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

SIZES = (784, 64, 64, 10)
ROWS = 60_000
BATCHES = (256, 512, 1024, 2048, 4096, 8192)
RUNS = 4  # of the bare loop for each batch and number of threads; bridge gets as many, so as good a chance
AT_LEAST = 0.9  # of the bare loop


def weights() -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    return [
        ((random.normal(size=(a, b)) / a**0.5).astype(np.float32), random.normal(size=b).astype(np.float32))
        for a, b in pairwise(SIZES)
    ]


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.random((rows, SIZES[0]), dtype=np.float32), random.integers(0, SIZES[-1], rows)


def write_model(path: Path) -> None:
    """The MLP as plain ONNX: MatMul and Add as converters write them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, initializers, value = [], [], "x"
    layers = weights()
    for index, (kernel, bias) in enumerate(layers):
        initializers += [
            numpy_helper.from_array(kernel, f"kernel_{index}"),
            numpy_helper.from_array(bias, f"b_{index}"),
        ]
        nodes.append(helper.make_node("MatMul", [value, f"kernel_{index}"], [f"product_{index}"]))
        nodes.append(helper.make_node("Add", [f"product_{index}", f"b_{index}"], [f"linear_{index}"]))
        value = f"y_{index}"
        nodes.append(helper.make_node("Softmax" if index == len(layers) - 1 else "Relu", [f"linear_{index}"], [value]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", SIZES[0]])]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["batch", SIZES[-1]])]
    graph = helper.make_graph(nodes, "mlp", inputs, outputs, initializers)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    )
    onnx.checker.check_model(str(path), full_check=True)


def best_seconds(call: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return min(spent)


def bridge(model: str, rows: int, provider: str) -> dict[str, float]:
    from bridge.data import Data
    from bridge.runtime import evaluate

    x, y = data(rows)
    results = [evaluate(model, Data({"x": x}, y, "random"), provider=provider) for _ in range(RUNS * len(BATCHES) * 2)]
    return {
        "bridge eval": max(r.rows_per_second for r in results),
        "bridge eval, data checks and metrics included": max(rows / r.total_seconds for r in results),
    }


def onnxruntime(model: str, rows: int, provider: str) -> dict[str, float]:
    from bench_onnx import session as opened

    x, _ = data(rows)
    found = {}
    for threads in sorted({0, 1, os.cpu_count() or 1}) if provider == "cpu" else [0]:  # 0: its own choice
        session = opened(Path(model), provider, threads)
        for batch in BATCHES if provider == "cpu" else (*BATCHES, 2 * BATCHES[-1]):

            def loop(session=session, batch=batch) -> None:
                for begin in range(0, rows, batch):
                    session.run(None, {"x": x[begin : begin + batch]})

            found[batch, threads] = rows / best_seconds(loop, RUNS)
    (batch, threads), fastest = max(found.items(), key=lambda item: item[1])
    print(f"fastest bare loop: batch {batch}, threads {threads or 'by default'}", file=sys.stderr)
    return {"bare ONNX Runtime loop, its best batch and threads": fastest}


def keras(model: str, rows: int, provider: str) -> dict[str, float]:
    from keras import Sequential, layers

    sequential = Sequential([layers.Input((SIZES[0],))])
    for units, activation in zip(SIZES[1:], ("relu", "relu", "softmax"), strict=True):
        sequential.add(layers.Dense(units, activation=activation))
    sequential.set_weights([array for pair in weights() for array in pair])
    x, _ = data(rows)
    found = {}
    for batch in (32, 4096):
        sequential.predict(x[:batch], batch_size=batch, verbose=0)  # compiles
        seconds = best_seconds(lambda batch=batch: sequential.predict(x, batch_size=batch, verbose=0), 2)
        found[f"keras.predict, batch {batch}"] = rows / seconds
    return found


PEERS = {"bridge": bridge, "onnxruntime": onnxruntime, "keras": keras}


def measure(peer: str, model: Path, rows: int, provider: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--peer", peer, "--model", str(model), "--rows", str(rows)]
    command += ["--provider", provider]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"the peer {peer} failed:\n{done.stderr[-3000:]}")
    if peer == "onnxruntime":
        print(done.stderr.strip())
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(argv: list[str] | None = None) -> int:
    """Prints rows per second and ratios; 1 when bridge is slower than the figure to reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--model", type=Path, help="an .onnx of the MLP with input x (default: one is made)")
    arguments = parser.parse_args(argv)
    if arguments.peer:
        print(json.dumps(PEERS[arguments.peer](str(arguments.model), arguments.rows, arguments.provider)))
        return 0
    found: dict[str, float] = {}
    load = f", load average {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    print(f"{arguments.rows:,} rows, {os.cpu_count()} cores{load} (other programs' load slows the peers unequally)")
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or Path(folder, "mlp.onnx")
        if arguments.model is None:
            write_model(model)
        for _ in range(2):
            for peer in arguments.peers:
                for name, speed in measure(peer, model, arguments.rows, arguments.provider).items():
                    found[name] = max(speed, found.get(name, 0.0))
    ours = found.get("bridge eval")
    for name, speed in found.items():
        ratio = f"   bridge eval / it = {ours / speed:.2f}" if ours and name != "bridge eval" else ""
        print(f"{name:52} {speed:12,.0f} rows/s{ratio}")
    bare = found.get("bare ONNX Runtime loop, its best batch and threads")
    if ours and bare and ours < AT_LEAST * bare:
        print(f"below {AT_LEAST} of the bare loop")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
