"""A training that is killed again and again must end as if it had never been.

    python benchmarks/crash.py --kills 200 [--seed 0]
    python benchmarks/crash.py --full-disk

Stages sft, reward and dpo of the `tiny` profile, with dropout on the adapter, are killed (SIGKILL) at random moments
of training, of writing a checkpoint and of publishing the model, one to six times each, and run again until they
end. With `--full-disk`, every write of a checkpoint and of a publication fails once, and all writes after it.

Children are forked from this process, which has imported PyTorch and done nothing with it: a kill costs seconds.
"""

import argparse
import gc
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crash_side
from crash_side import A_CHECKPOINT, LAST, LAST_BUT_ONE, MAX_STEPS, PUBLICATION, SAVE_STEPS, STAGES, Faults
from safetensors import safe_open

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.lineage.verification import verify
from galileu_pipeline.process import hush
from galileu_pipeline.training import checkpoints
from galileu_pipeline.training.settings import StageName

KILLS_A_RUN = 6
REFUSED = 3  # the exit code of a child that ended with an error a user can understand


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed."""

    digest: str
    step_s: float
    checkpoint: int  # how many changes to the data folder a checkpoint is, with the deletion of an older one
    publication: int


@dataclass
class Tally:
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    resumes: int = 0
    equal: int = 0
    most_redone: int = 0

    def __str__(self) -> str:
        where = ", ".join(f"{count} {place}" for place, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({where}) of {self.runs} runs, {self.resumes} resumes, "
            f"digests equal {self.equal} of {self.runs}, at most {self.most_redone} steps redone "
            f"(a checkpoint every {SAVE_STEPS})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--full-disk", action="store_true", help="let writes fail instead")
    parser.add_argument("--every", type=int, default=1, help="with --full-disk: only every so many writes")
    arguments = parser.parse_args()
    hush()
    gc.freeze()  # no child need look through what was imported
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory(prefix="galileu-crash-") as folder:
        inputs = Path(folder) / "inputs"
        succeed(lambda: crash_side.prepare(inputs))
        references = {stage: undisturbed(inputs, stage, full=arguments.full_disk) for stage in arguments.stages}
        if arguments.full_disk:
            print(fill_disk(inputs, references, arguments.every))
        else:
            print(kill(inputs, references, arguments.kills, random.Random(arguments.seed)))
    gc.unfreeze()


def kill(inputs: Path, references: dict[StageName, Reference], kills: int, chance: random.Random) -> Tally:
    """Kill runs, one stage after the other, until there were that many kills."""
    tally = Tally()
    stages = list(references)
    while tally.kills.total() < kills:
        stage = stages[tally.runs % len(stages)]
        with copy_of(inputs, stage) as root:
            run_until_done(root, stage, references[stage], kills, tally, chance)
        print(tally, file=sys.stderr, flush=True)
    return tally


def run_until_done(
    root: Path, stage: StageName, reference: Reference, kills: int, tally: Tally, chance: random.Random
) -> None:
    """One run, killed up to six times and started again until it is published.

    Raises:
        AssertionError: it did not end as the undisturbed one, or a kill cost more than `SAVE_STEPS` steps.
    """
    wanted = chance.randint(1, KILLS_A_RUN)
    done, journal = 0, root / "journal"
    while True:
        killing = wanted > 0 and tally.kills.total() < kills
        places = ["in training", "in a checkpoint", "in publishing"] if saved(root) < MAX_STEPS else ["in publishing"]
        place = chance.choice(places) if killing else "nowhere"
        journal.unlink(missing_ok=True)
        faults = faults_of(root, place, reference, chance)
        moment = None
        if place == "in training":  # at any moment of some step that is still to come
            further = chance.randrange(MAX_STEPS - saved(root))
            moment = Moment(journal, further, chance.uniform(0, reference.step_s))
        code = fork(lambda: crash_side.work(root, stage, journal, faults), moment)  # noqa: B023
        steps, outcome = read(journal)
        if steps:
            tally.most_redone = max(tally.most_redone, done - steps[0] + 1)
            assert done - steps[0] + 1 <= SAVE_STEPS, f"{stage}: step {done} was done, and {steps[0]} came next"
            done = steps[-1]
        require_whole(root)
        if code == 0:
            assert outcome["digest"] == reference.digest, f"{stage}: {outcome['digest']}, not {reference.digest}"
            tally.runs += 1
            tally.equal += 1
            tally.resumes += outcome["resumes"]
            return
        assert code == -signal.SIGKILL, f"{stage} ended with code {code}"
        tally.kills[place] += 1
        wanted -= 1


def faults_of(root: Path, place: str, reference: Reference, chance: random.Random) -> Faults | None:
    if place == "in a checkpoint":
        return Faults(root, A_CHECKPOINT, chance.randint(1, reference.checkpoint), full=False)
    if place == "in publishing":
        return Faults(root, PUBLICATION, chance.randint(1, reference.publication), full=False)
    return None


def fill_disk(inputs: Path, references: dict[StageName, Reference], every: int) -> str:
    """Let every write of one checkpoint and one publication fail, once each, and go on with room again.

    Raises:
        AssertionError: a failure was not explained, or the run did not end as the undisturbed one.
    """
    failures = 0
    for stage, reference in references.items():
        places = [(LAST_BUT_ONE, at) for at in range(1, reference.checkpoint + 1)]
        places += [(PUBLICATION, at) for at in range(1, reference.publication + 1)]
        for since, at in places[::every]:
            with copy_of(inputs, stage) as root:
                journal = root / "journal"
                code = fork(lambda: crash_side.work(root, stage, journal, Faults(root, since, at, full=True)))  # noqa: B023
                assert code == REFUSED, f"{stage}, write {at}: ended with code {code}, not with an explanation"
                require_whole(root)
                journal.unlink()
                assert fork(lambda: crash_side.work(root, stage, journal, None)) == 0  # noqa: B023
                _, outcome = read(journal)
                assert outcome["digest"] == reference.digest, f"{stage}, write {at}: another digest"
                failures += 1
        print(f"{stage}: {failures} failed writes so far", file=sys.stderr, flush=True)
    return f"{failures} failed writes, each explained; digests equal {failures} of {failures}"


def undisturbed(inputs: Path, stage: StageName, *, full: bool) -> Reference:
    """What a run without faults makes, how long it takes, and what it changes on disk on the way."""
    with copy_of(inputs, stage) as root:
        began = time.monotonic()
        journal = root / "journal"
        succeed(lambda: crash_side.work(root, stage, journal, Faults(root, full=full)))
        _, outcome = read(journal)
        events = outcome["events"]
        first = {since: first_of(events, since) for since in (LAST_BUT_ONE, LAST, PUBLICATION)}
        return Reference(
            outcome["digest"],
            (time.monotonic() - began) / MAX_STEPS,
            checkpoint=first[LAST] - first[LAST_BUT_ONE],
            publication=len(events) - first[PUBLICATION],
        )


def first_of(events: Sequence[str], since: str) -> int:
    return next(number for number, path in enumerate(events) if re.search(since, path))


def saved(root: Path) -> int:
    """The step of the checkpoint that a run in this data folder would go on from."""
    found = (checkpoints.newest(folder) for folder in (root / "checkpoints").glob("*"))
    return max((checkpoints.step_of(path) for path in found if path), default=0)


def require_whole(root: Path) -> None:
    """Whatever would be loaded is what its manifest says, and can be loaded."""
    store = crash_side.open_store(root)
    for artifact in store.models():
        assert verify(store, artifact.id) == [], artifact.id
    for folder in (root / "checkpoints").glob("*"):
        if last := checkpoints.newest(folder):
            json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
            with safe_open(last / "adapter_model.safetensors", "pt") as weights:
                assert weights.keys()


@contextmanager
def copy_of(inputs: Path, stage: StageName) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="galileu-crash-") as folder:
        root = Path(folder) / "data"
        shutil.copytree(inputs, root)
        for made in (root / "models").glob(f"{stage}_model-*"):
            shutil.rmtree(made)
        yield root


def read(journal: Path) -> tuple[list[int], dict[str, Any]]:
    """The steps a child has done, and what came of them."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    steps = [int(line) for line in lines if line.isdigit()]
    return steps, json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def succeed(action: Callable[[], None]) -> None:
    if (code := fork(action)) != 0:
        raise SystemExit(f"The undisturbed run ended with code {code}.")


@dataclass
class Moment:
    """When to kill a child: so many seconds after so many steps."""

    journal: Path
    steps: int
    delay: float
    _due: float | None = None

    def has_come(self) -> bool:
        if self._due is None and len(read(self.journal)[0]) >= self.steps:
            self._due = time.monotonic() + self.delay
        return self._due is not None and time.monotonic() >= self._due


def fork(action: Callable[[], None], moment: Moment | None = None) -> int:
    """Do it in a child process, killed at that moment; its exit code, negative for a signal."""
    if (child := os.fork()) == 0:
        os._exit(do(action))
    while moment and not moment.has_come():
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    if moment:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def do(action: Callable[[], None]) -> int:
    try:
        action()
    except GalileuError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
