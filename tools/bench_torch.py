"""Inference and training steps of converted networks beside the same network written by hand in plain torch.

The hand-written ResNet50 is NCHW as torch's users write it, in torch's default and in its channels_last memory format.
Each peer is a process of its own, started several times, for where its memory lies changes its speed by a tenth and
more; the rounds go from peer to peer, so that a machine whose speed drifts is the same for all. Each round of a peer is
a ratio to bridge's beside it, and the median ratio counts.
Usage: python tools/bench_torch.py [--models resnet50 lstm] [--starts N] [--rounds N] [--batch N] [--device cuda]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PEERS = {"resnet50": ("bridge", "NCHW", "channels_last"), "lstm": ("bridge", "nn.LSTM")}
TASKS = ("inference", "training step")
ENOUGH = 0.2


def hand_resnet50(classes: int) -> Any:
    """ResNet50 v1 with Keras's convolutions, which have biases and the stride in the first of a block."""
    from torch import Tensor, nn

    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, eps=1.001e-5, momentum=0.01)

    class Block(nn.Module):
        def __init__(self, given: int, width: int, stride: int, first: bool):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(given, width, 1, stride), norm(width)
            self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), norm(width)
            self.conv3, self.norm3 = nn.Conv2d(width, 4 * width, 1), norm(4 * width)
            self.relu = nn.ReLU()
            self.short = nn.Sequential(nn.Conv2d(given, 4 * width, 1, stride), norm(4 * width)) if first else None

        def forward(self, x: Tensor) -> Tensor:
            y = self.relu(self.norm1(self.conv1(x)))
            y = self.relu(self.norm2(self.conv2(y)))
            y = self.norm3(self.conv3(y))
            return self.relu(y + (x if self.short is None else self.short(x)))

    blocks, given = [], 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            blocks.append(Block(given, width, 1 if number else stride, number == 0))
            given = 4 * width
    stem = [nn.Conv2d(3, 64, 7, 2, padding=3), norm(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, classes))


def hand_lstm(features: int, classes: int) -> Any:
    from torch import Tensor, nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(features, 128, num_layers=2, batch_first=True)
            self.head = nn.Linear(128, classes)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x)[0][:, -1])

    return Net()


def network(model: str, peer: str, folder: str, batch: int, device: str) -> tuple[Any, Any]:
    """(the network up to its logits, a batch for it), both on `device`. folder: bridge's."""
    import torch

    import bridge

    converted = bridge.load(folder).to(device)
    x = torch.randn(batch, *next(iter(converted.input_shapes.values())), device=device)
    if peer == "bridge":
        return converted, x
    if model == "lstm":
        return hand_lstm(x.shape[-1], 10).to(device), x
    layout = torch.channels_last if peer == "channels_last" else torch.contiguous_format
    net = hand_resnet50(10).to(device, memory_format=layout)
    return net, x.movedim(-1, 1).contiguous(memory_format=layout)


def task(model: str, peer: str, folder: str, batch: int, what: str, device: str) -> Callable[[], object]:
    import torch

    net, x = network(model, peer, folder, batch, device)
    logits = net.logits if peer == "bridge" else net
    if what == "inference":
        net.eval()

        def infer() -> object:
            with torch.inference_mode():
                return logits(x)

        return infer
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    targets = torch.randint(0, 10, (batch,), device=device)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(logits(x), targets).backward()
        optimizer.step()

    return train


def serve(options: argparse.Namespace) -> None:
    """For each line on stdin, does the task and answers with its seconds, of the clock and of the CPU.

    A short task is done as often as fits into ENOUGH seconds, for its first run after a pause finds the caches cold.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import torch

    call = task(options.model, options.peer, options.folder, options.batch, options.task, options.device)
    finished = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    call(), call(), finished()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        start, count = (time.perf_counter(), time.process_time()), 0
        while not count or time.perf_counter() - start[0] < ENOUGH:
            call()
            finished()
            count += 1
        spent = time.perf_counter() - start[0], time.process_time() - start[1]
        print(*(seconds / count for seconds in spent), file=answers, flush=True)


class Peer:
    def __init__(self, *words: str):
        command = [sys.executable, "-P", __file__, *words]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        if self._line() != "ready":
            raise RuntimeError(f"{' '.join(words)} did not start")

    def seconds(self) -> tuple[float, float]:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        clock, cpu = self._line().split()
        return float(clock), float(cpu)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def measure(model: str, what: str, folder: str, batch: int, starts: int, rounds: int, device: str) -> None:
    """Prints each peer's milliseconds, and how fast bridge is beside it."""
    names = PEERS[model]
    common = ["--model", model, "--task", what, "--folder", folder, "--batch", str(batch), "--device", device]
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(starts):
        peers = {name: Peer("--peer", name, *common) for name in names}
        try:
            for _ in range(rounds):
                for name, peer in peers.items():
                    spent[name].append(peer.seconds())
        finally:
            for peer in peers.values():
                peer.close()
    print(f"\n{model}, {what}, batch {batch}, {device}: milliseconds, median of {starts} x {rounds}")
    for name in names:
        clock, cpu = (statistics.median(values) * 1000 for values in zip(*spent[name], strict=True))
        pairs = list(zip(spent[name], spent["bridge"], strict=True))
        by_clock, by_cpu = (statistics.median(other[i] / ours[i] for other, ours in pairs) for i in (0, 1))
        compared = "" if name == "bridge" else f"   bridge is {by_clock:.2f} times as fast, by CPU time {by_cpu:.2f}"
        print(f"{name:30}{clock:9,.1f} ({cpu:9,.1f} of CPU){compared}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    for hidden in ("--peer", "--model", "--task", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.peer:
        serve(options)
        return
    maker = str(Path(__file__).with_name("bench_models.py"))
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            file, out = f"{folder}/{model}.keras", f"{folder}/{model}"
            subprocess.run([sys.executable, maker, model, file], check=True, stderr=subprocess.DEVNULL)
            convert = [sys.executable, "-P", "-m", "bridge", "convert", "keras2torch", file, "-o", out]
            subprocess.run(convert, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for what in TASKS:
                measure(model, what, out, options.batch, options.starts, options.rounds, options.device)


if __name__ == "__main__":
    main()
