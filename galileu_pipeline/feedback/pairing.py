"""Votes into preference pairs, in SQL. The statements in `sql/` are the rules; this module runs them in order."""

from collections.abc import Iterable
from enum import StrEnum

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.feedback.statements import sql


class PairingStrategy(StrEnum):
    """Which answers of a question are compared."""

    BEST_VS_WORST = "best_vs_worst"
    ALL_PAIRS = "all_pairs"


class PairingSettings(BaseModel):
    """How votes become pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: PairingStrategy = Field(
        PairingStrategy.BEST_VS_WORST,
        description="best_vs_worst: one rated pair a question; all_pairs: every two answers",
    )
    min_margin: float = Field(0.0, ge=0, le=1, description="least difference of mean scores (0 to 1) for a rated pair")
    max_pairs_per_query: int = Field(
        10, ge=1, description="pairs kept a question: side-by-side ones, then largest margin"
    )
    test_fraction: float = Field(0.2, ge=0, lt=1, description="share of the questions held out from all training")


def build_pairs(connection: duckdb.DuckDBPyConnection, settings: PairingSettings) -> None:
    """Replace `preference_pairs` and `pair_sources` by what the feedback now says.

    Also leaves the temporary tables `answers` and `queries`, for `scored_answers`.
    """
    prepare_answers(connection, settings)
    connection.execute("SET VARIABLE min_margin = $value", {"value": settings.min_margin})
    connection.execute("SET VARIABLE max_pairs_per_query = $value", {"value": settings.max_pairs_per_query})
    for statement in (
        f"pair_{settings.strategy.value}",
        "pair_choices",
        "merge_pairs",
        "replace_preference_pairs",
        "replace_pair_sources",
    ):
        connection.execute(sql(statement))


def prepare_answers(connection: duckdb.DuckDBPyConnection, settings: PairingSettings) -> None:
    """The temporary tables `answers` (mean scores) and `queries` (wording and side of the split)."""
    connection.execute("SET VARIABLE test_fraction = $value", {"value": settings.test_fraction})
    for statement in ("create_split_macro", "build_answers", "build_queries"):
        connection.execute(sql(statement))


def preference_pairs(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """(pair_id, query_key, prompt, chosen, rejected, margin, origin, split), in a fixed order."""
    return connection.sql(sql("select_preference_pairs")).to_arrow_table()


def pair_sources(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """(pair_id, feedback_id, role), in a fixed order."""
    return connection.sql(sql("select_pair_sources")).to_arrow_table()


def scored_answers(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """(query_key, prompt, response, score, votes, split, feedback_ids), after `prepare_answers`."""
    return connection.sql(sql("select_answers")).to_arrow_table()


def split_of(connection: duckdb.DuckDBPyConnection, query_keys: Iterable[str]) -> list[str]:
    """'train' or 'test' for each key, after `prepare_answers`."""
    statement = sql("select_split")
    return [connection.execute(statement, {"query_key": key}).fetchall()[0][0] for key in query_keys]
