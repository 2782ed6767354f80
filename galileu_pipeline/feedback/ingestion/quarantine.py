"""What was refused at ingestion, for people to look at."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.feedback.ingestion.documents import DocumentMasker
from galileu_pipeline.feedback.ingestion.masking import mask
from galileu_pipeline.feedback.ingestion.sources.rows import RefusedRow
from galileu_pipeline.feedback.statements import sql

# Of select_refused.sql.
REFUSED_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("raw", pa.string()),
        ("row_digest", pa.string()),
    ]
)


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


class Refusals:
    """Tells equal refused rows of one source from each other: by how many there were before."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def numbered(self, refused: pa.Table) -> pa.Table:
        digests = []
        for digest in refused["row_digest"].to_pylist():
            self._seen[digest] += 1
            digests.append(digest if self._seen[digest] == 1 else f"{digest}-{self._seen[digest]}")
        place = refused.column_names.index("row_digest")
        return refused.set_column(place, "row_digest", pa.array(digests, pa.string()))


def unread_refusals(unread: Sequence[RefusedRow], digest: Callable[[RefusedRow], str]) -> pa.Table:
    """Rows that could not be made JSON text, as `select_refused.sql` has the others; nothing of them is kept."""
    rows = [
        {
            "position": row.position,
            "reason": row.reason.value,
            "detail": row.detail,
            "raw": None,
            "row_digest": digest(row),
        }
        for row in unread
    ]
    return pa.Table.from_pylist(rows, schema=REFUSED_SCHEMA)


def masked_refusals(refused: pa.Table, masker: DocumentMasker) -> pa.Table:
    """The rows of `select_refused.sql` without personal data in their fields (`raw`, JSON) or in what is said of them.

    The id stays, or a row that is judged again would be another one.
    """

    def safe(raw: str | None) -> str | None:
        if raw is None:
            return None
        fields = json.loads(raw)
        return json.dumps(masker.row(fields) | {"feedback_id": fields.get("feedback_id")}, ensure_ascii=False)

    details = [mask(detail)[0] for detail in refused["detail"].to_pylist()]
    rows = [safe(raw) for raw in refused["raw"].to_pylist()]
    for name, values in (("detail", details), ("raw", rows)):
        refused = refused.set_column(refused.column_names.index(name), name, pa.array(values, pa.string()))
    return refused


def read_quarantine(connection: duckdb.DuckDBPyConnection, most: int) -> Quarantine:
    """The counts, and at most `most` rows, newest first."""
    by_reason = dict(connection.execute(sql("ingestion/count_quarantine")).fetchall())
    cursor = connection.execute(sql("ingestion/select_quarantine"), {"most": most})
    names = [column[0] for column in cursor.description]
    rows = [QuarantinedRow.model_validate(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    return Quarantine(total=sum(by_reason.values()), by_reason=by_reason, rows=rows)
