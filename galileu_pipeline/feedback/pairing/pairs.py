"""Votes into preference pairs, in SQL. The statements in `sql/` are the rules; this module runs them in order."""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Self

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from galileu_pipeline.database import in_memory
from galileu_pipeline.feedback.pairing.datasets import SPLITS
from galileu_pipeline.feedback.statements import sql

READ_ROWS = 10_000
_RULES = 3  # of the statements in sql/; another number pairs everything again


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
    test_fraction: float = Field(0.2, ge=0, lt=1, description="share of the questions on which models are judged")
    validation_fraction: float = Field(
        0.05, ge=0, lt=1, description="share of the questions on which a training is watched; held out from it too"
    )
    sft_min_score: float = Field(0.75, ge=0, le=1, description="least mean score (0 to 1) of an answer to imitate")
    max_person_share: float | None = Field(
        0.005,
        gt=0,
        le=1,
        description="share of the training data (SFT, reward and DPO together) that one person may weigh, if that is "
        "more than one pair; null: no limit, for raters you know",
    )

    @model_validator(mode="after")
    def _leaves_something_to_learn_from(self) -> Self:
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError("test_fraction and validation_fraction leave nothing to train on; together, less than 1")
        return self


def build_pairs(connection: duckdb.DuckDBPyConnection, settings: PairingSettings) -> None:
    """Bring `answers`, `queries`, `preference_pairs`, `pair_sources` and `set_aside` up to what the feedback says.

    Only questions that got feedback since the last time are paired again, unless the settings are others. Where one
    person weighs too much, rows of theirs are set aside and their questions paired without them, until nobody does.
    """
    settings_json = json.dumps({"rules": _RULES, **settings.model_dump(mode="json")})
    for name, value in settings.model_dump(mode="json", exclude={"strategy"}).items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    connection.execute(sql("pairing/create_split_macro"))
    ((after, heaviest),) = connection.execute(sql("pairing/find_derived_table"), {"settings": settings_json}).fetchall()
    connection.execute("SET VARIABLE after = $value", {"value": after})
    connection.execute(sql("pairing/mark_touched_queries"))
    connection.execute("DELETE FROM set_aside")
    _pair_touched(connection, settings.strategy)
    if settings.max_person_share is not None:
        heaviest = _set_aside_excess(connection, settings, heaviest)
    connection.execute("DELETE FROM derived_tables")
    connection.execute(sql("pairing/record_derived_table"), {"settings": settings_json, "heaviest": heaviest})


def _pair_touched(connection: duckdb.DuckDBPyConnection, strategy: PairingStrategy) -> None:
    """Pair the questions of the temporary table `touched` again."""
    for statement in (
        "build_answers",
        "build_queries",
        f"pair_{strategy.value}",
        "pair_choices",
        "merge_pairs",
        "replace_preference_pairs",
    ):
        connection.execute(sql(f"pairing/{statement}"))


def _set_aside_excess(connection: duckdb.DuckDBPyConnection, settings: PairingSettings, heaviest: float) -> float:
    """Set aside what people weigh beyond the limit, and pair those questions again, until nobody does.

    What is left weighs more once rows are gone, but every time there are fewer rows.

    Args:
        heaviest: what nobody weighed more than last time, in items.

    Returns:
        What nobody weighs more than now.
    """
    most_pairs = settings.max_pairs_per_query if settings.strategy is PairingStrategy.ALL_PAIRS else 1
    for name, value in (("most_pairs", most_pairs), ("heaviest", heaviest)):
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    heaviest = _number(connection, "bound_weights")
    while heaviest > (limit := _number(connection, "limit_weights")):
        connection.execute(sql("pairing/weigh_rows"))
        heaviest = _number(connection, "select_heaviest")
        connection.execute("SET VARIABLE weight_limit = $value", {"value": limit})
        connection.execute(sql("pairing/set_aside_excess"))
        if not connection.execute("SELECT count(*) FROM touched").fetchall()[0][0]:
            break  # nobody weighs more, or who does gave a single row, and keeps it
        _pair_touched(connection, settings.strategy)
    return heaviest


def _number(connection: duckdb.DuckDBPyConnection, statement: str) -> float:
    return float(connection.execute(sql(f"pairing/{statement}")).fetchall()[0][0])


def preference_pairs(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(pair_id, query_key, prompt, chosen, rejected, margin, origin, split), in a fixed order."""
    return connection.sql(sql("pairing/select_preference_pairs")).to_arrow_reader(READ_ROWS)


def pair_sources(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(pair_id, feedback_id, person, role), in a fixed order.

    `context` is the role of rows that are in none of a question's pairs, yet helped to decide which answers were
    compared and how the question is worded; they stand beside the question's first pair.
    """
    return connection.sql(sql("pairing/select_pair_sources")).to_arrow_reader(READ_ROWS)


def scored_answers(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(example_id, query_key, prompt, response, score, votes, split, feedback_ids), in a fixed order.

    Of the answers good enough to imitate, and of those held out.
    """
    return connection.sql(sql("pairing/select_answers")).to_arrow_reader(READ_ROWS)


def question_rows(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(query_key, feedback_id, person) of every vote and choice that counts, in a fixed order."""
    return connection.sql(sql("pairing/select_question_rows")).to_arrow_reader(READ_ROWS)


def kept_out(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(kind, query_key, feedback_id, person) of rows but for which there would be another `pair` or `example`."""
    return connection.sql(sql("pairing/select_kept_out")).to_arrow_reader(READ_ROWS)


def set_aside(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """(feedback_id, person) of the rows that do not count since their person weighs as much as one may."""
    return connection.sql(sql("pairing/select_set_aside")).to_arrow_reader(READ_ROWS)


def count_pairs(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many pairs there are: pairs, those of each split, from_<origin> for each origin there is; and questions."""
    rows = connection.execute(sql("pairing/count_pairs")).fetchall()
    counts = {"pairs": sum(count for *_, count in rows), **dict.fromkeys(SPLITS, 0)}
    for origin, split, count in rows:
        counts[split] += count
        counts[f"from_{origin}"] = counts.get(f"from_{origin}", 0) + count
    ((counts["questions"],),) = connection.execute(sql("pairing/count_questions")).fetchall()
    return counts


def count_agreement(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Pairs of people who chose between the same two answers: `compared`, and `agreeing` those who chose alike."""
    agreeing, compared = connection.execute(sql("pairing/count_agreement")).fetchall()[0]
    return {"agreeing": agreeing, "compared": compared}


def count_raters(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Twos of answers that a person orders and the others do too: `compared`, and `agreeing` those ordered alike."""
    agreeing, compared = connection.execute(sql("pairing/count_raters")).fetchall()[0]
    return {"agreeing": agreeing, "compared": compared}


def count_set_aside(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows set aside, by person."""
    return dict(connection.execute(sql("pairing/count_set_aside")).fetchall())


def split_of(query_keys: Iterable[str], settings: PairingSettings) -> list[str]:
    """Which of `SPLITS` each key of a question belongs to."""
    with in_memory() as connection:
        for name in ("test_fraction", "validation_fraction"):
            connection.execute(f"SET VARIABLE {name} = $value", {"value": getattr(settings, name)})
        connection.execute(sql("pairing/create_split_macro"))
        statement = sql("pairing/select_split")
        return [connection.execute(statement, {"query_key": key}).fetchall()[0][0] for key in query_keys]
