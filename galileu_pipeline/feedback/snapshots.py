"""What the feedback stages leave on disk for everyone who must not open the warehouse."""

import json
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


def write_pairing(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The current pairs, the feedback behind them, and the scored answers, as Parquet."""
    write_table(pairing.preference_pairs(connection), folder / "preference_pairs.parquet")
    write_table(pairing.pair_sources(connection), folder / "pair_sources.parquet")
    write_table(pairing.scored_answers(connection), folder / "answers.parquet")


def read_pairs(folder: Path) -> pa.Table:
    """(pair_id, query_key, prompt, chosen, rejected, margin, origin, split)."""
    return pq.read_table(folder / "preference_pairs.parquet")


def read_answers(folder: Path) -> pa.Table:
    """(query_key, prompt, response, score, votes, split, feedback_ids)."""
    return pq.read_table(folder / "answers.parquet")
