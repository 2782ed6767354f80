"""Votes into preference pairs, in SQL. The statements in `sql/` are the rules; this module runs them in order."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.feedback.statements import sql

READ_ROWS = 10_000


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
    """Bring `preference_pairs` and `pair_sources` up to what the feedback says.

    Only questions that got feedback since the last time are paired again, unless the settings are others.
    """
    build_answers(connection, settings)
    with _following(connection, "preference_pairs", settings.model_dump_json()):
        for name, value in settings.model_dump(mode="json", exclude={"strategy"}).items():
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        for statement in (
            f"pair_{settings.strategy.value}",
            "pair_choices",
            "merge_pairs",
            "replace_preference_pairs",
        ):
            connection.execute(sql(statement))


def build_answers(connection: duckdb.DuckDBPyConnection, settings: PairingSettings) -> None:
    """Bring `answers` (mean scores) and `queries` (wording) up to what the feedback says, as `build_pairs` does.

    Also makes the macro `split_of`, which tells the side of a question.
    """
    connection.execute("SET VARIABLE test_fraction = $value", {"value": settings.test_fraction})
    connection.execute(sql("create_split_macro"))
    with _following(connection, "answers", ""):
        connection.execute(sql("build_answers"))
        connection.execute(sql("build_queries"))


def preference_pairs(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(pair_id, query_key, prompt, chosen, rejected, margin, origin, split), in a fixed order."""
    return connection.sql(sql("select_preference_pairs")).to_arrow_reader(READ_ROWS)


def pair_sources(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(pair_id, feedback_id, role), in a fixed order."""
    return connection.sql(sql("select_pair_sources")).to_arrow_reader(READ_ROWS)


def scored_answers(connection: duckdb.DuckDBPyConnection, split: str | None = None) -> pa.RecordBatchReader:
    """(query_key, prompt, response, score, votes, split, feedback_ids) of one split or all, after `build_answers`."""
    return connection.sql(sql("select_answers"), params={"split": split}).to_arrow_reader(READ_ROWS)


@contextmanager
def _following(connection: duckdb.DuckDBPyConnection, name: str, settings: str) -> Iterator[None]:
    """The temporary table `touched`: the questions about which there is feedback that a derived table has not seen."""
    found = connection.execute(sql("find_derived_table"), {"name": name, "settings": settings}).fetchall()
    connection.execute("SET VARIABLE after = $value", {"value": found[0][0]})
    connection.execute(sql("mark_touched_queries"))
    yield
    connection.execute("DELETE FROM derived_tables WHERE name = $name", {"name": name})
    connection.execute(sql("record_derived_table"), {"name": name, "settings": settings})


def count_pairs(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many pairs there are: pairs, train, test, and from_<origin> for each origin that occurs."""
    rows = connection.execute(sql("count_pairs")).fetchall()
    counts = {"pairs": sum(count for *_, count in rows), "train": 0, "test": 0}
    for origin, split, count in rows:
        counts[split] += count
        counts[f"from_{origin}"] = counts.get(f"from_{origin}", 0) + count
    return counts


def split_of(connection: duckdb.DuckDBPyConnection, query_keys: Iterable[str]) -> list[str]:
    """'train' or 'test' for each key, after `build_answers`."""
    statement = sql("select_split")
    return [connection.execute(statement, {"query_key": key}).fetchall()[0][0] for key in query_keys]
