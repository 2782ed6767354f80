"""What was refused at ingestion, for people to look at."""

from datetime import datetime

import duckdb
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.feedback.statements import sql


class QuarantinedRow(BaseModel):
    """A refused row without its content."""

    model_config = ConfigDict(frozen=True)

    source: str
    position: int
    reason: str
    detail: str
    can_be_retried: bool
    quarantined_at: datetime


class Quarantine(BaseModel):
    """How many rows were refused, by reason, and the newest of them."""

    model_config = ConfigDict(frozen=True)

    total: int
    by_reason: dict[str, int]
    rows: list[QuarantinedRow]


def read_quarantine(connection: duckdb.DuckDBPyConnection, most: int) -> Quarantine:
    """The counts, and at most `most` rows, newest first."""
    by_reason = dict(connection.execute(sql("ingestion/count_quarantine")).fetchall())
    cursor = connection.execute(sql("ingestion/select_quarantine"), {"most": most})
    names = [column[0] for column in cursor.description]
    rows = [QuarantinedRow.model_validate(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    return Quarantine(total=sum(by_reason.values()), by_reason=by_reason, rows=rows)
