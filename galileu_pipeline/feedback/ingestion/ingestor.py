"""Feedback into the warehouse: from the chatbot's file or any other, validated, every row accounted for.

A batch of rows passes through SQL twice: `parse_rows.sql` types its fields, Python cleans its texts, `judge_rows.sql`
says which rows are accepted. `insert_*.sql` stores those that are new.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.preparation import RowPreparer
from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.ingestion.scale import DOWN_WORDS, FIVE_STARS, UP_WORDS, Scale, ScaleJudge
from galileu_pipeline.feedback.ingestion.sources.compression import shown_name
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.readings import FileReading
from galileu_pipeline.feedback.ingestion.sources.rows import RefusedRow, RowBatch
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES, SourceTable
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.statements import sql

MAX_TEXT_CHARS = 100_000
_ERASED = (Reason.ERASED.value, "erased at the request of whoever gave it; it is not taken again")
_CHUNK_ROWS = 2_048
# In the order in which parse_rows.sql counts them.
FIELDS = (
    "query",
    "response",
    "comment",
    "response_chosen",
    "response_rejected",
    "response_left",
    "response_right",
    "reason",
    "feedback_id",
    "timestamp",
    "session_id",
    "user_id",
    "rating",
    "thumbs_up",
    "source_documents",
    "metadata",
    "model_left",
    "model_right",
    "verdict",
)
_REFUSED_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("raw", pa.string()),
        ("row_digest", pa.string()),
    ]
)


class IngestionReport(BaseModel):
    """What one ingestion did, in rows: rows = accepted + duplicates + those quarantined."""

    model_config = ConfigDict(frozen=True)

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: dict[str, int] = {}

    @property
    def refused(self) -> int:
        return sum(self.quarantined.values())

    def __add__(self, other: "IngestionReport") -> "IngestionReport":
        return IngestionReport(
            rows=self.rows + other.rows,
            accepted=self.accepted + other.accepted,
            duplicates=self.duplicates + other.duplicates,
            quarantined=dict(sorted((Counter(self.quarantined) + Counter(other.quarantined)).items())),
        )


@dataclass(frozen=True)
class _Batch:
    """A batch on its way: `table` has the columns of parse_rows.sql; once prepared, its texts are fit to be judged."""

    raw: RowBatch
    table: pa.Table

    def layers(self) -> Iterator[pa.Table]:
        """The table in parts in none of which an identity stands twice: first occurrences, second ones, and so on."""
        ids = self.table["feedback_id"].combine_chunks().dictionary_encode()
        if len(ids.dictionary) == len(ids):
            yield self.table
            return
        occurrence = np.empty(len(ids), dtype=np.int64)
        seen: Counter[int] = Counter()
        for row, identity in enumerate(ids.indices.to_pylist()):
            occurrence[row] = seen[identity]
            seen[identity] += 1
        for layer in range(int(occurrence.max()) + 1):
            yield self.table.filter(pa.array(occurrence == layer))


class _Feed:
    """A view in DuckDB of rows that change from batch to batch.

    Registering a new view for each batch would keep all of them in memory: a transaction holds on to what it drops.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._rows: pa.Table | None = None

    def put(self, rows: pa.Table) -> None:
        registered = self._rows is not None
        # In chunks: DuckDB scans as many of them at a time as it has threads.
        self._rows = pa.Table.from_batches(rows.to_batches(max_chunksize=_CHUNK_ROWS), schema=rows.schema)
        if not registered:
            self._connection.register(self._name, self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        assert self._rows is not None
        return self._rows.__arrow_c_stream__(requested_schema)


class Ingestor:
    """Brings rows into an open warehouse."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, preparer: RowPreparer, erased: Set[str] = frozenset()
    ) -> None:
        """`erased` are digests (`erased_row_digest`) of rows that were erased, and are not to come back."""
        self.connection = connection
        self.preparer = preparer
        self._erased = erased
        self._secret = preparer.pseudonyms.secret("row identity")
        self._prepared_rows = _Feed(connection, "prepared_rows")
        self._raw_rows = _Feed(connection, "raw_rows")
        self._refused_rows = _Feed(connection, "refused_rows")
        self._retried_rows = _Feed(connection, "retried_rows")

    def sqlite(self, source: SqliteFeedback) -> IngestionReport:
        """Every row that is new in the chatbot's file since the last time.

        A file that was replaced (its row at the last position is another one, or gone) is read again from its start;
        rows seen before then count as duplicates.
        """
        report = IngestionReport()
        for table in TABLES:
            name = f"{source.path.name}:{table.name}"
            after = self._resume_position(source, table, name)
            report += self._ingest(name, source.batches(table, after), ScaleJudge(FIVE_STARS))
        return report

    def file(self, file: FeedbackFile, mapping: Mapping[str, str], scale: Scale | None = None) -> IngestionReport:
        """Every row of the file.

        Args:
            mapping: for fields that have another name there, that name.
            scale: what the file's ratings mean, where it is not what `ScaleJudge` takes for granted.

        Raises:
            InputError: the file breaks off, lacks a column, is not on that scale, or `mapping` names no field. Nothing
                is to be kept then: let the warehouse roll back.
        """
        return self.read(FileReading(file, mapping), ScaleJudge(scale or file.own_scale))

    def read(self, reading: FileReading, judge: ScaleJudge) -> IngestionReport:
        """As `file`; `reading` and `judge` have learnt what the file is like when this returns, or raises."""
        name = shown_name(Path(reading.file.path.name))
        report = self._ingest(name, reading.batches(), judge)
        judge.require_fit(shown_name(reading.file.path))
        return report

    def retry_quarantine(self) -> IngestionReport:
        """Judge the rows in quarantine again; those that pass now leave it. Rows that were not kept whole stay."""
        by_source: dict[str, list[tuple[int, int, str]]] = {}
        for row, source, position, raw in self.connection.execute(sql("ingestion/select_retryable")).fetchall():
            by_source.setdefault(source, []).append((row, position, raw))
        total = IngestionReport()
        for source, rows in by_source.items():
            numbers, positions, texts = zip(*rows, strict=True)
            batch = RowBatch(pa.array(positions, pa.int64()), pa.array(texts, pa.string()))
            retried = pa.table({"ordinal": np.arange(len(rows)), "quarantine_row": pa.array(numbers, pa.int64())})
            self._retried_rows.put(retried)
            number, accepted, released = self._next_ingestion(), 0, 0
            reasons: Counter[str] = Counter()
            for prepared in self._prepared([batch], ScaleJudge(FIVE_STARS)):
                for layer in prepared.layers():
                    self._judge(layer)
                    accepted += self._insert(source, number)
                    released += _count(self.connection, "release_quarantine", {})
                    reasons += self._faults()
            self._record(number, source, (0, accepted, -released, released - accepted))
            total += IngestionReport(
                rows=len(rows), accepted=accepted, duplicates=released - accepted, quarantined=reasons
            )
        return total

    def _ingest(self, source: str, batches: Iterable[RowBatch], judge: ScaleJudge) -> IngestionReport:
        number, now = self._next_ingestion(), datetime.now(UTC).replace(tzinfo=None)
        report, last = IngestionReport(), None
        for prepared in self._prepared(batches, judge):
            batch = prepared.raw
            accepted, reasons = 0, self._quarantine_unread(source, now, batch.refused)
            for layer in prepared.layers():
                self._judge(layer)
                accepted += self._insert(source, number)
                if self._faults():
                    reasons += self._quarantine_judged(source, now, batch, judge.scale)
            report += IngestionReport(
                rows=batch.size,
                accepted=accepted,
                duplicates=batch.size - accepted - reasons.total(),
                quarantined=reasons,
            )
            last = batch
        if last is not None:
            counts = (report.rows, report.accepted, report.refused, report.duplicates)
            self._record(number, source, counts, self._place(last))
        return report

    def _prepared(self, batches: Iterable[RowBatch], judge: ScaleJudge) -> Iterator[_Batch]:
        """Batches parsed and cleaned, each step one batch ahead of the next, so that no core waits."""
        with duckdb.connect(config={"memory_limit": "512MB"}) as parser:
            raw_rows = _Feed(parser, "raw_rows")

            def parsed() -> Iterator[_Batch]:
                for batch in batches:
                    self._set_variables(parser, batch.paths, judge.scale)
                    raw_rows.put(_numbered(batch))
                    yield _Batch(batch, judge.see(parser.sql(sql("ingestion/parse_rows")).to_arrow_table()))

            def prepared() -> Iterator[_Batch]:
                for batch in _one_ahead(parsed()):
                    yield _Batch(batch.raw, self._refuse_erased(self.preparer.prepare(batch.table)))

            yield from _one_ahead(prepared())

    def _refuse_erased(self, rows: pa.Table) -> pa.Table:
        """Prepared rows, those that were erased with a fault."""
        if not self._erased:
            return rows
        ids, faults = rows["feedback_id"].to_pylist(), rows["fault"].to_pylist()
        erased = [erased_row_digest(self.preparer.pseudonyms, row) in self._erased for row in ids]
        judged = [list(_ERASED) if gone else fault for gone, fault in zip(erased, faults, strict=True)]
        return rows.set_column(
            rows.column_names.index("fault"), "fault", pa.array(judged, rows.schema.field("fault").type)
        )

    def _set_variables(self, connection: duckdb.DuckDBPyConnection, paths: Mapping[str, str], scale: Scale) -> None:
        """What parse_rows.sql and select_refused.sql ask for."""
        variables = {
            "fields": list(FIELDS),
            "paths": [paths.get(field, f"$.{field}") for field in FIELDS],
            "scale_name": str(scale),
            "scale_ends": scale.ends,
            "worst_rating": scale.worst,
            "best_rating": scale.best,
            "thumbs": scale.thumbs,
            "up_words": list(UP_WORDS),
            "down_words": list(DOWN_WORDS),
            "max_text_chars": MAX_TEXT_CHARS,
            "identity_secret": self._secret,
        }
        for name, value in variables.items():
            connection.execute(f"SET VARIABLE {name} = $value", {"value": value})

    def _judge(self, rows: pa.Table) -> None:
        """Let the view `judged_rows` show prepared rows."""
        self._prepared_rows.put(rows)
        self.connection.execute(sql("ingestion/judge_rows"))

    def _faults(self) -> Counter[str]:
        """Refused rows of `judged_rows` by reason."""
        return Counter(reason for (reason,) in self.connection.execute(sql("ingestion/select_faults")).fetchall())

    def _insert(self, source: str, ingestion: int) -> int:
        parameters = {"source": source, "ingestion": ingestion}
        return sum(
            _count(self.connection, statement, parameters)
            for statement in ("insert_votes", "insert_choices", "insert_comparisons")
        )

    def _quarantine_judged(self, source: str, now: datetime, batch: RowBatch, scale: Scale) -> Counter[str]:
        """Put what the view `judged_rows` refuses into quarantine. Returns what was not there yet, by reason."""
        self._set_variables(self.connection, batch.paths, scale)
        self._raw_rows.put(_numbered(batch))
        return self._quarantine(source, now, self.connection.sql(sql("ingestion/select_refused")).to_arrow_table())

    def _quarantine_unread(self, source: str, now: datetime, unread: Sequence[RefusedRow]) -> Counter[str]:
        rows = [
            {
                "position": row.position,
                "reason": row.reason.value,
                "detail": row.detail,
                "raw": None,
                "row_digest": self._digest(row.content or f"{source}: {row.detail}")[:32],
            }
            for row in unread
        ]
        return self._quarantine(source, now, pa.Table.from_pylist(rows, schema=_REFUSED_SCHEMA)) if rows else Counter()

    def _quarantine(self, source: str, now: datetime, refused: pa.Table) -> Counter[str]:
        self._refused_rows.put(refused.cast(_REFUSED_SCHEMA))
        added = self.connection.execute(sql("ingestion/insert_quarantine"), {"source": source, "now": now}).fetchall()
        return Counter(reason for (reason,) in added)

    def _resume_position(self, source: SqliteFeedback, table: SourceTable, name: str) -> int:
        last = self.connection.execute(sql("ingestion/find_last_ingestion"), {"source": name}).fetchall()
        if not last:
            return -1
        position, digest = last[0]
        row = source.row_at(table, position)
        return position if row is not None and self._digest(row) == digest else -1

    def _place(self, last: RowBatch) -> tuple[int, str]:
        """Position and digest of the last row of the last batch."""
        if len(last.positions) and last.positions[-1].as_py() == last.last_position:
            return last.last_position, self._digest(last.rows[-1].as_py())
        return last.last_position, self._digest(last.refused[-1].content)

    def _record(
        self,
        number: int,
        source: str,
        counts: tuple[int, int, int, int],
        place: tuple[int | None, str | None] = (None, None),
    ) -> None:
        names = ("rows_in", "accepted", "quarantined", "duplicates")
        self.connection.execute(
            sql("ingestion/insert_ingestion"),
            {
                **dict(zip(names, counts, strict=True)),
                "ingestion": number,
                "source": source,
                "ingested_at": datetime.now(UTC).replace(tzinfo=None),
                "last_position": place[0],
                "last_digest": place[1],
            },
        )

    def _next_ingestion(self) -> int:
        return _scalar(self.connection, "SELECT coalesce(max(ingestion), 0) + 1 FROM ingestions")

    def _digest(self, row: str) -> str:
        return hashlib.sha256((self._secret + row).encode("utf-8", "surrogatepass")).hexdigest()


def erased_row_digest(pseudonyms: Pseudonyms, feedback_id: str) -> str:
    """128 bits of a keyed hash of a row's id: enough to know the row again, and nothing else of it."""
    key = pseudonyms.secret("erased row").encode()
    return hmac.digest(key, feedback_id.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


def content_digest(connection: duckdb.DuckDBPyConnection) -> str:
    """sha256 over the ids and texts of all accepted feedback, whatever the order it came in."""
    return _scalar(connection, sql("ingestion/digest_feedback"))


def ledger(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows ever read and what the tables hold now: rows_in, accepted, repaired and masked (among the accepted),
    quarantined, duplicates."""
    cursor = connection.execute(sql("ingestion/count_ledger"))
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def masked_by_kind(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Personal identifiers masked in accepted rows: {cpf, cnpj, phone, cep, email: how many}."""
    connection.execute(sql("analytics/create_analytics_views"))
    return dict(connection.execute("FROM analytics_masked ORDER BY kind").fetchall())


def _numbered(batch: RowBatch) -> pa.Table:
    return pa.table({"ordinal": np.arange(len(batch.positions)), "position": batch.positions, "row": batch.rows})


def _one_ahead(items: Iterator[_Batch]) -> Iterator[_Batch]:
    """The items, each made in another thread while the one before is in use."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _count(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, object]) -> int:
    """Rows that a statement of that name changed."""
    return connection.execute(sql(f"ingestion/{statement}"), parameters).fetchall()[0][0]


def _scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    # fetchall, not fetchone: DuckDB refuses further statements while a result is unfinished
    return connection.execute(statement).fetchall()[0][0]
