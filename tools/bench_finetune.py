"""Rows a second when the tutorial's MLP is trained at batch 32 on the CPU: bridge beside Keras and plain torch loops.

Each peer runs in a process of its own; the rounds go from peer to peer, so that a machine whose speed drifts is the
same for all; what counts is the median of the rounds. Usage: python tools/bench_finetune.py [--rows N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SIZES, BATCH = (784, 64, 64, 10), 32
PEERS = {
    "keras": "Keras fit",
    "loader": "torch, DataLoader loop",
    "tuned": "torch, hand-tuned loop",
    "bridge": "bridge fit",
}


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((rows, SIZES[0]), np.float32), rng.integers(0, SIZES[-1], rows)


def keras_peer(rows: int) -> Callable[[], None]:
    import keras

    x, y = data(rows)
    hidden = [keras.layers.Dense(units, activation="relu") for units in SIZES[1:-1]]
    model = keras.Sequential([keras.Input((SIZES[0],)), *hidden, keras.layers.Dense(SIZES[-1], activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda: model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)


def loader_peer(rows: int) -> Callable[[], None]:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    net = torch_net()
    loader = DataLoader(TensorDataset(*map(torch.from_numpy, data(rows))), batch_size=BATCH, shuffle=True)
    optimizer, loss_of = torch.optim.Adam(net.parameters()), torch.nn.CrossEntropyLoss()

    def epoch() -> None:
        total = right = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            logits = net(x)
            loss = loss_of(logits, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            right += (logits.argmax(1) == y).sum().item()

    return epoch


def tuned_peer(rows: int) -> Callable[[], None]:
    """Plain tensors, batches by index_select, fused Adam, gradients dropped, metrics read once an epoch, one thread."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    net, (x, y) = torch_net(), map(torch.from_numpy, data(rows))
    optimizer = torch.optim.Adam(net.parameters(), fused=True)

    def epoch() -> None:
        order = torch.randperm(rows)
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for picked in order.split(BATCH):
            target = y.index_select(0, picked)
            logits = net(x.index_select(0, picked))
            loss = torch.nn.functional.cross_entropy(logits, target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += loss.detach() * len(target)
            right += (logits.detach().argmax(1) == target).sum()
        total.item(), right.item()

    return epoch


def bridge_peer(rows: int) -> Callable[[], None]:
    import torch

    from bridge.torch_side.training.train import fit

    class Net(torch.nn.Module):
        final = "softmax"

        def __init__(self) -> None:
            super().__init__()
            self.dense, self.dense_1, self.dense_2 = (part for part in torch_net() if isinstance(part, torch.nn.Linear))

        def logits(self, x: torch.Tensor) -> torch.Tensor:
            return self.dense_2(torch.relu(self.dense_1(torch.relu(self.dense(x)))))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.logits(x).softmax(-1)

    net, (x, y) = Net(), data(rows)
    return lambda: fit(net, x, y, batch=BATCH, epochs=1, device="cpu") and None


def torch_net() -> Any:
    from torch import nn

    a, b, c, d = SIZES
    return nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, d))


def serve(peer: str, rows: int) -> None:
    """Trains one epoch for each line on stdin and answers with its seconds."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    epoch = {"keras": keras_peer, "loader": loader_peer, "tuned": tuned_peer, "bridge": bridge_peer}[peer](rows)
    epoch()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        epoch()
        print(time.perf_counter() - start, file=answers, flush=True)


class Peer:
    def __init__(self, name: str, rows: int):
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        command = [sys.executable, "-P", __file__, "--peer", name, "--rows", str(rows)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        if self._line() != "ready":
            raise RuntimeError(f"{name} did not start")

    def seconds(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def measure(rows: int, rounds: int) -> dict[str, list[float]]:
    """Rows a second of each peer, round by round."""
    peers = {name: Peer(name, rows) for name in PEERS}
    try:
        speeds: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(rounds):
            for name, peer in peers.items():
                speeds[name].append(rows / peer.seconds())
    finally:
        for peer in peers.values():
            peer.close()
    return speeds


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=19_200, help="rows of an epoch (default: 600 steps)")
    parser.add_argument("--rounds", type=int, default=9, help="epochs of each peer")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.peer:
        serve(options.peer, options.rows)
        return 0
    speeds = measure(options.rows, options.rounds)
    print(
        f"fine-tuning the MLP {'-'.join(map(str, SIZES))}, batch {BATCH}, Adam, CPU: rows/s, median of {options.rounds}"
    )
    print(f"{'':24}{'median':>9}{'slowest':>9}{'fastest':>9}   bridge is")
    for name, title in PEERS.items():
        ratio = statistics.median(b / o for b, o in zip(speeds["bridge"], speeds[name], strict=True))
        median, low, high = statistics.median(speeds[name]), min(speeds[name]), max(speeds[name])
        compared = "" if name == "bridge" else f"{ratio:.2f} times as fast"
        print(f"{title:24}{median:9,.0f}{low:9,.0f}{high:9,.0f}   {compared}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
