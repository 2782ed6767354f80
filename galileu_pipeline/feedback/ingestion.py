"""Raw feedback into the warehouse: incrementally, validated, every row accounted for."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.feedback.cleaning import TextCleaner
from galileu_pipeline.feedback.sqlite_source import CHOICES, VOTES, SourceRow, SourceTable, SqliteFeedback
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.feedback.validation import RefusedRowError, Row, RowValidator

BATCH_ROWS = 20_000

_TEXT, _REAL, _FLAG, _TIME, _INTEGER = pa.string(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.int64()
_IDENTITY = [("feedback_id", _TEXT), ("source", _TEXT), ("position", _INTEGER)]
_COMMON = [
    *_IDENTITY,
    ("occurred_at", _TIME),
    ("session_id", _TEXT),
    ("user_id", _TEXT),
    ("query", _TEXT),
    ("query_key", _TEXT),
]
_VOTE_SCHEMA = pa.schema(
    [
        *_COMMON,
        ("response", _TEXT),
        ("rating", _REAL),
        ("thumbs_up", _FLAG),
        ("score", _REAL),
        ("comment", _TEXT),
        ("source_documents", _TEXT),
        ("metadata", _TEXT),
        ("repaired", _FLAG),
    ]
)
_CHOICE_SCHEMA = pa.schema(
    [*_COMMON, ("chosen", _TEXT), ("rejected", _TEXT), ("reason", _TEXT), ("metadata", _TEXT), ("repaired", _FLAG)]
)
_QUARANTINE_SCHEMA = pa.schema(
    [
        ("row_digest", _TEXT),
        ("source", _TEXT),
        ("position", _INTEGER),
        ("reason", _TEXT),
        ("detail", _TEXT),
        ("raw", _TEXT),
        ("quarantined_at", _TIME),
    ]
)


class IngestionReport(BaseModel):
    """What one ingestion did, in rows."""

    model_config = ConfigDict(frozen=True)

    rows_in: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    reasons: dict[str, int] = {}

    def __add__(self, other: "IngestionReport") -> "IngestionReport":
        return IngestionReport(
            rows_in=self.rows_in + other.rows_in,
            accepted=self.accepted + other.accepted,
            quarantined=self.quarantined + other.quarantined,
            duplicates=self.duplicates + other.duplicates,
            reasons=dict(sorted((Counter(self.reasons) + Counter(other.reasons)).items())),
        )


def ingest_sqlite(
    connection: duckdb.DuckDBPyConnection, source: SqliteFeedback, cleaner: TextCleaner
) -> IngestionReport:
    """Bring every row that is new since the last time from `source` into the warehouse.

    A file that was replaced (its row at the last position is another one, or gone) is read again from its
    start; rows seen before then count as duplicates.
    """
    validator = RowValidator(cleaner)
    report = IngestionReport()
    for table, validate in ((VOTES, validator.vote), (CHOICES, validator.choice)):
        name = f"{source.path.name}:{table.name}"
        after = _resume_position(connection, source, table, name)
        report += _ingest(connection, name, source.rows(table, after), table, validate)
    return report


def content_digest(connection: duckdb.DuckDBPyConnection) -> str:
    """sha256 over the ids and texts of all accepted feedback, whatever the order it came in."""
    return _scalar(connection, sql("digest_feedback"))


def ledger(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows ever read and what the tables hold now: rows_in, accepted, repaired (among the accepted), quarantined,
    duplicates."""
    cursor = connection.execute(sql("count_ledger"))
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def _resume_position(
    connection: duckdb.DuckDBPyConnection, source: SqliteFeedback, table: SourceTable, name: str
) -> int:
    last = connection.execute(sql("find_last_ingestion"), {"source": name}).fetchall()
    if not last:
        return -1
    position, digest = last[0]
    row = source.row_at(table, position)
    return position if row is not None and row.digest == digest else -1


def _ingest(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    rows: Iterator[SourceRow],
    table: SourceTable,
    validate: Callable[[Row], dict[str, object]],
) -> IngestionReport:
    now = datetime.now(UTC).replace(tzinfo=None)
    schema = _VOTE_SCHEMA if table is VOTES else _CHOICE_SCHEMA
    target = "feedback" if table is VOTES else "feedback_choices"
    _create_staging(connection, "incoming", schema)
    _create_staging(connection, "incoming_quarantine", _QUARANTINE_SCHEMA)

    rows_in, last = 0, None
    while batch := list(islice(rows, BATCH_ROWS)):
        accepted, refused = [], []
        for row in batch:
            try:
                typed = validate(row.values)
            except RefusedRowError as refusal:
                refused.append(_quarantine_row(row, refusal, source, now))
            else:
                accepted.append({**typed, "feedback_id": _identity(row), "source": source, "position": row.position})
        _append(connection, "incoming", accepted, schema)
        _append(connection, "incoming_quarantine", refused, _QUARANTINE_SCHEMA)
        rows_in, last = rows_in + len(batch), batch[-1]
    if last is None:
        return IngestionReport()

    reasons = dict(connection.execute(sql("count_new_quarantine")).fetchall())
    accepted_count = _scalar(connection, sql(f"insert_{target}"))
    quarantined_count = _scalar(connection, sql("insert_quarantine"))
    report = IngestionReport(
        rows_in=rows_in,
        accepted=accepted_count,
        quarantined=quarantined_count,
        duplicates=rows_in - accepted_count - quarantined_count,
        reasons=reasons,
    )
    connection.execute(
        sql("insert_ingestion"),
        {
            **report.model_dump(exclude={"reasons"}),
            "source": source,
            "ingested_at": now,
            "last_position": last.position,
            "last_digest": last.digest,
        },
    )
    return report


def _identity(row: SourceRow) -> str:
    """The client's id. Without one, the row's content is its identity - and its position too where it carries no
    time, since two people may well give the same answer the same thumb."""
    if given := row.values.get("feedback_id"):
        return str(given)
    return row.digest if row.values.get("timestamp") else f"{row.digest}-{row.position}"


def _quarantine_row(row: SourceRow, refusal: RefusedRowError, source: str, now: datetime) -> dict[str, object]:
    return {
        "row_digest": row.digest,
        "source": source,
        "position": row.position,
        "reason": refusal.reason.value,
        "detail": str(refusal).encode("utf-8", "backslashreplace").decode("utf-8"),
        "raw": json.dumps(row.values, default=repr),
        "quarantined_at": now,
    }


def _create_staging(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
    connection.register("empty_batch", schema.empty_table())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM empty_batch")
    connection.unregister("empty_batch")


def _append(
    connection: duckdb.DuckDBPyConnection, name: str, rows: Iterable[dict[str, object]], schema: pa.Schema
) -> None:
    connection.register("arrow_batch", pa.Table.from_pylist(list(rows), schema=schema))
    connection.execute(f"INSERT INTO {name} SELECT * FROM arrow_batch")
    connection.unregister("arrow_batch")


def _scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    # fetchall, not fetchone: DuckDB refuses further statements while a result is unfinished
    return connection.execute(statement).fetchall()[0][0]
