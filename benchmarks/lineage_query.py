"""What it costs to ask where a model came from, and what came from a person or a click.

    python benchmarks/lineage_query.py [--rows 1000000] [--generations 17] [--repeats 5]

A data folder is made as the pipeline would over time: in every generation the datasets have grown, so that the last
one holds all rows of feedback, and an SFT, a reward and a DPO model, an evaluation and a decision are made from them.
Then the commands are run as a person runs them; their wall time, start of the process included, and peak memory are
measured.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.pairing.datasets import write_table
from galileu_pipeline.feedback.pairing.pairs import READ_ROWS
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile

# A vote's id is that of a client that numbers at random; 20,000 people take turns.
IDS = """
    CREATE MACRO feedback_id(i) AS
        regexp_replace(md5('vote' || i), '(.{8})(.{4})(.{4})(.{4})(.{12})', '\\1-\\2-\\3-\\4-\\5');
    CREATE MACRO person(i) AS 'person-' || md5('person' || (i % 20000))[:24];
"""
PAIRS = """
    SELECT md5('pair' || i // 4)[:16] AS item_id, feedback_id(i) AS feedback_id, person(i) AS person,
        if(i % 2 = 0, 'chosen', 'rejected') AS role
    FROM range($rows) AS votes (i)
"""
HELD_OUT = """
    SELECT md5('answer' || i // 3)[:16], feedback_id(i), person(i), 'held_out'
    FROM range($rows) AS votes (i)
    WHERE i % 10 = 0
"""
EXAMPLES = """
    SELECT md5('answer' || i // 3)[:16] AS item_id, feedback_id(i) AS feedback_id, person(i) AS person, 'answer' AS role
    FROM range($rows) AS votes (i)
    WHERE i % 2 = 0
"""
ORDER = " ORDER BY item_id, role, feedback_id"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of feedback behind the last generation")
    parser.add_argument("--generations", type=int, default=17)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each command")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as filler:
        start = time.perf_counter()
        # In a process of its own: a command would count the memory of the process that starts it as its peak.
        person, click = filler.apply(fill, (Path(folder), arguments.rows, arguments.generations))
        print(f"made in {time.perf_counter() - start:.0f} s", flush=True)
        for options in (["dpo_model"], ["--user", person], ["--feedback", click]):
            measure(["lineage", *options], Path(folder), arguments.repeats)


def fill(root: Path, rows: int, generations: int) -> tuple[str, str]:
    """Everything that so many trainings leave, but for texts and weights; returns a person and one of their clicks."""
    store = ArtifactStore(DataFolder(root), "cpu")
    with duckdb.connect() as votes:
        votes.execute(IDS)
        train(store, votes, rows, generations)
        print(f"{len(store.models())} models and {len(store.folders('datasets'))} datasets ", end="", flush=True)
        person, click = votes.execute("SELECT person(7), feedback_id(7)").fetchall()[0]
    return person, click


def train(store: ArtifactStore, votes: duckdb.DuckDBPyConnection, rows: int, generations: int) -> None:
    """What each generation leaves in the data folder."""
    base = make(store, "base_model", [])
    for generation in range(1, generations + 1):
        known = rows * generation // generations

        def recorded(query: str, known: int = known) -> Callable[[Path], Outcome]:
            def write(folder: Path) -> Outcome:
                reader = votes.sql(query + ORDER, params={"rows": known}).to_arrow_reader(READ_ROWS)
                return Outcome(metrics={"rows": write_table(reader, folder / "sources.parquet")})

            return write

        feedback = make(store, "raw_feedback", [], config={"rows": known})
        pairs = make(store, "preference_pairs", [feedback])
        dpo_dataset = make(store, "dpo_dataset", [pairs], recorded(PAIRS))
        reward_dataset = make(store, "reward_dataset", [pairs], recorded(f"{PAIRS} UNION ALL {HELD_OUT}"))
        sft_dataset = make(store, "sft_dataset", [feedback], recorded(EXAMPLES))
        sft = make(store, "sft_model", [base, sft_dataset])
        reward = make(store, "reward_model", [base, sft, reward_dataset])
        dpo = make(store, "dpo_model", [base, sft, dpo_dataset])
        evaluation = make(store, "model_evaluation", [base, sft, dpo, reward, reward_dataset])
        decision = make(store, "promotion_decision", [evaluation])
        service = ChampionFile(store)
        service.promote(dpo.id, by="rule", in_place_of=service.read().id, decision=decision.id)
        store.set_current(dpo)


def make(
    store: ArtifactStore,
    asset: str,
    inputs: Sequence[Artifact],
    write: Callable[[Path], Outcome] | None = None,
    config: dict[str, Any] | None = None,
) -> Artifact:
    """An artifact; without `write`, of one file that tells it from others."""
    plan = Plan(asset, inputs, {"profile": "cpu", **(config or {})})

    def mark(folder: Path) -> Outcome:
        (folder / "mark.txt").write_text(plan.id)
        return Outcome()

    return store.make(plan, write or mark).artifact


def measure(command: list[str], data: Path, repeats: int) -> None:
    """Run a `galileu` command; print its wall times, peak memory, and the mean processor time, which other work hardly
    changes.
    """
    galileu = Path(sys.executable).with_name("galileu")
    environment = {**os.environ, "GALILEU_DATA_DIR": str(data), "GALILEU_PROFILE": "cpu"}
    seconds, used, peak_mib = [], 0.0, 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        process = subprocess.Popen([galileu, *command], env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"galileu {' '.join(command)} ended with {process.returncode}")
        used += (usage.ru_utime + usage.ru_stime) / repeats
        peak_mib = max(peak_mib, usage.ru_maxrss / 1024)
    shown = " ".join(f"{second:.2f}" for second in sorted(seconds))
    median = statistics.median(seconds)
    print(f"galileu {' '.join(command)}", flush=True)
    print(f"    median {median:.2f} s ({shown}), processor {used:.2f} s, peak {peak_mib:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
