"""What it costs to start and end the process of a training stage, and what resting the garbage collector saves of it.

    python benchmarks/process_start.py [--rounds 5]

Both import what DPO needs, by turns: as any program would, and within `galileu_pipeline.loading.loading`.
"""

import argparse
import statistics
import subprocess
import sys
import time

PLAIN = "from galileu_pipeline.training import dpo, runner"
LOADING = f"from galileu_pipeline.loading import loading\nwith loading():\n    {PLAIN}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = [(seconds(PLAIN), seconds(LOADING)) for _ in range(parser.parse_args().rounds)]
    plain, resting = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"seconds from start to end, median of {len(rounds)}: {plain:.2f} collecting, {resting:.2f} resting")
    print(f"resting / collecting: {resting / plain:.2f}")


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
