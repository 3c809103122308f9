"""bridge's benchmarks: python tools/bench.py finetune | evaluate | convert | torch | onnx [OPTIONS], or all.

Each runs the peers beside bridge in the same run, every peer in its own process, and prints ratios.
"""

import sys

import bench_convert
import bench_eval
import bench_finetune
import bench_onnx
import bench_torch

BENCHES = {
    "finetune": bench_finetune.main,
    "evaluate": bench_eval.main,
    "convert": bench_convert.main,
    "torch": bench_torch.main,
    "onnx": bench_onnx.main,
}


def main() -> None:
    words = sys.argv[1:]
    if not words or words[0] not in (*BENCHES, "all"):
        sys.exit(__doc__)
    for name, bench in BENCHES.items():
        if words[0] in (name, "all"):
            print(f"\n{name}")
            bench(words[1:])


if __name__ == "__main__":
    main()
