"""What the feedback stages leave on disk for everyone who must not open the warehouse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from galileu_pipeline.feedback.pairing import pairs as pairing
from galileu_pipeline.feedback.pairing.datasets import write_table

SUMMARY_NAME = "summary.json"


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """`summary.json`, the same bytes for the same content."""
    (folder / SUMMARY_NAME).write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_summary(folder: Path) -> dict[str, Any]:
    """What `write_summary` left."""
    summary: dict[str, Any] = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
    return summary


def write_pairing(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The current pairs, the answers to learn from or to judge on, the feedback behind both, and what is set aside."""
    for name, rows in (
        ("preference_pairs", pairing.preference_pairs),
        ("pair_sources", pairing.pair_sources),
        ("answers", pairing.scored_answers),
        ("question_rows", pairing.question_rows),
        ("kept_out", pairing.kept_out),
        ("set_aside", pairing.set_aside),
    ):
        write_table(rows(connection), folder / f"{name}.parquet")


def read_pairs(folder: Path) -> pa.Table:
    """(pair_id, query_key, prompt, chosen, rejected, margin, origin, split)."""
    return pq.read_table(folder / "preference_pairs.parquet")


def pairs_by_batch(folder: Path) -> Iterator[pa.RecordBatch]:
    """The rows of `read_pairs`, some thousands at a time."""
    return pq.ParquetFile(folder / "preference_pairs.parquet").iter_batches(pairing.READ_ROWS)


def answers_by_batch(folder: Path) -> Iterator[pa.RecordBatch]:
    """(example_id, query_key, prompt, response, score, votes, split, feedback_ids), some thousands at a time."""
    return pq.ParquetFile(folder / "answers.parquet").iter_batches(pairing.READ_ROWS)
