"""Peak memory of a command, all its processes together: python tools/measure_memory.py COMMAND ...

What counts is the proportional set size: memory that several processes share is divided among them, and what they map
of files counts as far as they hold it. Linux alone tells it (/proc/PID/smaps_rollup).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

INTERVAL = 0.1  # seconds


def family(root: int) -> list[int]:
    """A process and all that come from it."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:  # it has ended
                continue
    return found


def held(pid: int) -> int:
    """Bytes of a process; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def peak(
    command: list[str], quiet: bool = False, trail: list[tuple[float, list[int]]] | None = None
) -> tuple[int, float, int]:
    """(bytes at the peak, seconds, exit code) of a command. trail: gets (seconds, bytes of each process) meanwhile."""
    started, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL if quiet else None)
    while process.poll() is None:
        now = [held(pid) for pid in family(process.pid)]
        if trail is not None:
            trail.append((time.perf_counter() - started, now))
        most = max(most, sum(now))
        time.sleep(INTERVAL)
    return most, time.perf_counter() - started, process.returncode


def main() -> None:
    trail: list[tuple[float, list[int]]] = []
    most, seconds, code = peak(sys.argv[1:], trail=trail)
    second = -1
    for moment, parts in trail if "MEASURE_TRAIL" in os.environ else []:
        if int(moment * 2) != second:
            second = int(moment * 2)
            print(f"{moment:6.1f} s  {' '.join(f'{part / 1e9:.2f}' for part in parts)}", file=sys.stderr)
    print(f"{most / 1e9:.2f} GB at the peak, {seconds:.1f} s", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
