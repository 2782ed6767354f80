"""Feedback at scale: import, pairing and dataset against the guide's own way, in one run.

    python benchmarks/feedback_scale.py ratings.jsonl.gz --rows 1000000

The ratings are repeated until there are as many rows; each repetition asks other questions (a number behind the query),
so that pairs grow with rows. With --distinct, answers and comments are made different too: no text is seen twice but by
its own raters, and nothing is saved by looking at each text once.

The guide's way reads a JSON list, groups it in Python, and calls Dataset.from_list and save_to_disk. It cleans nothing,
masks nothing, keeps no ids and forgets who said what. Each side is a process of its own; the guide's reads the rows as
a JSON list, the pipeline as JSON lines, as each has them. Peak memory is the process's resident set.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ADDED_ROWS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratings", type=Path, help="JSON lines of the guide's fields, plain or gzip")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--distinct", action="store_true", help="make every answer and comment different")
    parser.add_argument("--side", choices=["guide", "pipeline"], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        {"guide": guide, "pipeline": pipeline}[options.side](options.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_rows(options.ratings, options.rows, options.distinct, work)
        print(f"{options.rows:,} rows, {(work / 'rows.jsonl').stat().st_size / 1e9:.2f} GB", flush=True)
        told = {side: measure(side, options.ratings, work) for side in ("guide", "pipeline")}
    guides, ours = told["guide"], told["pipeline"]
    full = ours["import"] + ours["pair"]
    added = ours["added import"] + ours["added pair"]
    total = full + ours["write pairs"] + ours["write dataset"]
    print(f"guide's way     {guides['all']:6.1f} s   {guides['peak_gb']:.2f} GB   {guides['pairs']:,.0f} pairs")
    print(f"pipeline        {total:6.1f} s   {ours['peak_gb']:.2f} GB   {ours['pairs']:,.0f} pairs")
    for step in ("import", "pair", "write pairs", "write dataset"):
        print(f"  {step:<14}{ours[step]:6.1f} s")
    print(f"time   pipeline / guide's way: {total / guides['all']:.2f}")
    print(f"memory pipeline / guide's way: {ours['peak_gb'] / guides['peak_gb']:.2f}")
    print(f"{ADDED_ROWS:,} rows more: import and pair {added:.2f} s, {added / full:.1%} of the full time")


def write_rows(ratings: Path, count: int, distinct: bool, work: Path) -> None:
    opened = gzip.open if ratings.suffix == ".gz" else open
    with opened(ratings, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]

    def repeated(first: int, number: int) -> Iterator[str]:
        for place in range(first, first + number):
            repetition, row = place // len(rows), rows[place % len(rows)]
            mark = f" ({repetition})"
            changed = {"feedback_id": f"{row['feedback_id']}-{repetition}", "query": row["query"] + mark}
            if distinct:
                changed |= {name: row[name] + mark for name in ("response", "comment") if row[name]}
            yield json.dumps(row | changed, ensure_ascii=False)

    with (
        (work / "rows.jsonl").open("w", encoding="utf-8") as lines,
        (work / "rows.json").open("w", encoding="utf-8") as document,
    ):
        for place, line in enumerate(repeated(0, count)):
            lines.write(line + "\n")
            document.write(("[" if place == 0 else ",\n") + line)
        document.write("]")
    with (work / "added.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(line + "\n" for line in repeated(count, ADDED_ROWS))


def measure(side: str, ratings: Path, work: Path) -> dict[str, float]:
    """What a side told of itself, and its peak memory in GB."""
    command = [sys.executable, __file__, str(ratings), "--side", side, "--work", str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{side} failed"
    return {**json.loads(told.splitlines()[-1]), "peak_gb": usage.ru_maxrss / 1e6}


def guide(work: Path) -> None:
    """The guide's `prepare_dpo_dataset`, as it stands, with today's names."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    begin = time.perf_counter()
    with (work / "rows.json").open(encoding="utf-8") as file:
        feedbacks = json.load(file)
    by_query: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for feedback in feedbacks:
        by_query[feedback["query"]].append(feedback)
    pairs = []
    for query, responses in by_query.items():
        if len(responses) < 2:
            continue
        responses.sort(key=lambda row: row["rating"], reverse=True)
        best, worst = responses[0], responses[-1]
        if best["rating"] > worst["rating"]:
            pairs.append({"prompt": query, "chosen": best["response"], "rejected": worst["response"]})
    Dataset.from_list(pairs).save_to_disk(str(work / "guide"))
    print(json.dumps({"all": time.perf_counter() - begin, "pairs": len(pairs)}))


def pipeline(work: Path) -> None:
    """The pipeline's stages, as the assets call them."""
    from galileu_pipeline.data_folder import DataFolder
    from galileu_pipeline.feedback import stages
    from galileu_pipeline.feedback.pairing.datasets import DatasetSettings
    from galileu_pipeline.feedback.pairing.pairs import PairingSettings, build_pairs
    from galileu_pipeline.feedback.warehouse import Warehouse
    from galileu_pipeline.lineage.artifacts import ArtifactStore

    data = DataFolder(work / "data")
    store, warehouse, pairing = ArtifactStore(data, "benchmark"), Warehouse(data.warehouse), PairingSettings()
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def done(step: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[step], clock = now - clock, now

    def bring(name: str) -> Any:
        stages.import_files(warehouse, data, [work / name], mapping={}, repair_text=True)
        return stages.refresh_raw_feedback(store, warehouse, data, repair_text=True)[0].artifact

    def pair() -> None:
        with warehouse.open() as connection:
            build_pairs(connection, pairing)

    raw_feedback = bring("rows.jsonl")
    done("import")
    pair()
    done("pair")
    pairs = stages.make_preference_pairs(store, warehouse, raw_feedback, pairing).artifact
    done("write pairs")
    stages.make_dpo_dataset(store, pairs, DatasetSettings(system_prompt=""))
    done("write dataset")
    bring("added.jsonl")
    done("added import")
    pair()
    done("added pair")
    print(json.dumps({**seconds, "pairs": pairs.manifest.metrics["pairs"]}))


if __name__ == "__main__":
    main()
