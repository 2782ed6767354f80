"""What the feedback stages leave on disk for everyone who must not open the warehouse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from galileu_pipeline.feedback import pairing
from galileu_pipeline.feedback.datasets import write_table

SUMMARY_NAME = "summary.json"


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """`summary.json`, the same bytes for the same content."""
    (folder / SUMMARY_NAME).write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_summary(folder: Path) -> dict[str, Any]:
    """What `write_summary` left."""
    summary: dict[str, Any] = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
    return summary


def write_pairing(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The current pairs, the feedback behind them, and the scored answers to held-out questions, as Parquet."""
    write_table(pairing.preference_pairs(connection), folder / "preference_pairs.parquet")
    write_table(pairing.pair_sources(connection), folder / "pair_sources.parquet")
    write_table(pairing.scored_answers(connection, "test"), folder / "held_out_answers.parquet")


def read_pairs(folder: Path) -> pa.Table:
    """(pair_id, query_key, prompt, chosen, rejected, margin, origin, split)."""
    return pq.read_table(folder / "preference_pairs.parquet")


def pairs_by_batch(folder: Path) -> Iterator[pa.RecordBatch]:
    """The rows of `read_pairs`, some thousands at a time."""
    return pq.ParquetFile(folder / "preference_pairs.parquet").iter_batches(pairing.READ_ROWS)


def held_out_answers(folder: Path) -> Iterator[pa.RecordBatch]:
    """(query_key, prompt, response, score, votes, split, feedback_ids) of the test split, some thousands at a time."""
    return pq.ParquetFile(folder / "held_out_answers.parquet").iter_batches(pairing.READ_ROWS)
