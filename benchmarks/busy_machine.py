"""What one other busy process costs training, by how long OpenMP's threads spin while they wait for each other.

    python benchmarks/busy_machine.py [--rounds 3] [--threads N] [--profile cpu]

A step is forward and backward of the profile's base model in bfloat16, 4 x 110 tokens. There is one process for each
way of waiting, as libgomp reads it when it is loaded. They take steps by turns: first with the machine to themselves,
then beside a process that only keeps a core busy. "Quiet" is as quiet as the machine is.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.environment import DEFAULTS
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.stages import make_model

OURS = f"GOMP_SPINCOUNT={DEFAULTS['GOMP_SPINCOUNT']}"
WAITS = {
    "libgomp's default": {"GOMP_SPINCOUNT": "300000"},
    OURS: {"GOMP_SPINCOUNT": DEFAULTS["GOMP_SPINCOUNT"]},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
ROWS, TOKENS = 4, 110


class Trainer:
    """A process that takes a step whenever it is told to."""

    def __init__(self, base: Path, waits: dict[str, str], threads: int) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--train", str(base)],
            env={**inherited, **waits, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Trainer":
        self.step()  # waits until the model is loaded; the first step is a warm-up
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def step(self) -> float:
        """Seconds it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="steps of each kind")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each process")
    parser.add_argument("--profile", default="cpu", help="whose base model is trained")
    parser.add_argument("--train", type=Path, metavar="BASE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train)
        return
    with TemporaryDirectory() as folder:
        store = ArtifactStore(DataFolder(Path(folder)), arguments.profile)
        base = make_model(store, load_profile(store.profile).stage("base", {}), {}, launch)
        compare(base.artifact.path, arguments.rounds, arguments.threads)


def launch(command: list[str]) -> None:
    subprocess.run(command, check=True)


def compare(base: Path, rounds: int, threads: int) -> None:
    print(f"{threads} threads on {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} before anything started")
    with ExitStack() as stack:
        trainers = {name: stack.enter_context(Trainer(base, waits, threads)) for name, waits in WAITS.items()}
        quiet = take_turns(trainers, rounds)
        with busy_process():
            busy = take_turns(trainers, rounds)
    unit = statistics.median(quiet["libgomp's default"])
    print(f"\n{'':26}{'quiet':>22}{'beside a busy process':>26}   (medians; 1.00 is {unit:.2f} s a step)")
    for name in WAITS:
        figures = (f"{told(times, unit):>{width}}" for times, width in ((quiet[name], 22), (busy[name], 26)))
        print(f"{name:26}{''.join(figures)}")


def take_turns(trainers: dict[str, Trainer], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(rounds):
        for name, trainer in trainers.items():
            times[name].append(trainer.step())
    return times


def told(times: list[float], unit: float) -> str:
    return f"{statistics.median(times) / unit:.2f} ({min(times) / unit:.2f} to {max(times) / unit:.2f})"


@contextmanager
def busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def train(base: Path) -> None:
    """The other end of `Trainer`."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, local_files_only=True)
    ids_BT = torch.randint(model.config.vocab_size, (ROWS, TOKENS), generator=torch.Generator().manual_seed(0))
    for _ in sys.stdin:
        start = time.perf_counter()
        model(input_ids=ids_BT, labels=ids_BT).loss.backward()
        print(time.perf_counter() - start, flush=True)
        model.zero_grad()


if __name__ == "__main__":
    main()
