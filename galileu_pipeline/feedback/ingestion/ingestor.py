"""Feedback into the warehouse: from the chatbot's file or any other, validated, every row accounted for.

A batch of rows passes through SQL twice: `parse_rows.sql` types its fields, Python cleans its texts, `judge_rows.sql`
says which rows are accepted. `insert_*.sql` stores those that are new.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.batches import Batch, Feed, layers, numbered, one_ahead
from galileu_pipeline.feedback.ingestion.documents import DocumentMasker
from galileu_pipeline.feedback.ingestion.following import FollowedTable
from galileu_pipeline.feedback.ingestion.identity import Identities, with_faults
from galileu_pipeline.feedback.ingestion.judging import FileJudge
from galileu_pipeline.feedback.ingestion.parsing import FIELDS, json_paths, row_parser
from galileu_pipeline.feedback.ingestion.preparation import RowPreparer
from galileu_pipeline.feedback.ingestion.quarantine import REFUSED_SCHEMA, Refusals, masked_refusals, unread_refusals
from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.ingestion.scale import FIVE_STARS, Scale
from galileu_pipeline.feedback.ingestion.sources.compression import shown_name
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.readings import FileReading
from galileu_pipeline.feedback.ingestion.sources.rows import RefusedRow, RowBatch
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES, SourceTable
from galileu_pipeline.feedback.ingestion.sources.sqlite_changes import compare, fresh_rows
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.ingestion.states import States
from galileu_pipeline.feedback.statements import sql

_ERASED = (Reason.ERASED.value, "erased at the request of whoever gave it; it is not taken again")
_CONFLICT = (
    Reason.ID_CONFLICT.value,
    "feedback_id is here already, of another vote: other question, answer or person. Make the ids of the file differ",
)
_INSERTS = {"vote": "insert_votes", "choice": "insert_choices", "comparison": "insert_comparisons"}


class IngestionReport(BaseModel):
    """What one ingestion did, in rows: rows = accepted + duplicates + those quarantined.

    Of the accepted ones `replaced` took the place of an older state; `gone` are rows that their source no longer has.
    """

    model_config = ConfigDict(frozen=True)

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: dict[str, int] = {}
    replaced: int = 0
    gone: int = 0

    @property
    def refused(self) -> int:
        return sum(self.quarantined.values())

    def __add__(self, other: "IngestionReport") -> "IngestionReport":
        return IngestionReport(
            rows=self.rows + other.rows,
            accepted=self.accepted + other.accepted,
            duplicates=self.duplicates + other.duplicates,
            quarantined=dict(sorted((Counter(self.quarantined) + Counter(other.quarantined)).items())),
            replaced=self.replaced + other.replaced,
            gone=self.gone + other.gone,
        )


class Ingestor:
    """Brings rows into an open warehouse."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, preparer: RowPreparer, erased: Set[str] = frozenset()
    ) -> None:
        """`erased` are digests (`erased_row_digest`) of rows that were erased, and are not to come back."""
        self.connection = connection
        self.preparer = preparer
        self._erased = erased
        self._masker = DocumentMasker(preparer.pseudonyms)
        self._secret = preparer.pseudonyms.secret("row identity")
        self._prepared_rows = Feed(connection, "prepared_rows")
        self._raw_rows = Feed(connection, "raw_rows")
        self._refused_rows = Feed(connection, "refused_rows")
        self._retried_rows = Feed(connection, "retried_rows")
        self._states = States(connection)

    def sqlite(self, source: SqliteFeedback) -> IngestionReport:
        """Everything that is new or another in the chatbot's file since the last time.

        Rows that were changed there stand as they are now, and those that were deleted no longer count; both stay in
        the history. Of a file that was put in place of another nothing is taken for deleted.
        """
        report = IngestionReport()
        for table in TABLES:
            if source.has(table):
                report += self._follow(source, table)
        return report

    def _follow(self, source: SqliteFeedback, table: SourceTable) -> IngestionReport:
        name = f"{shown_name(Path(source.path.name))}:{table.name}"
        followed = FollowedTable(self.connection, name)
        with source.snapshot(table) as snapshot:
            changes = compare(source, snapshot, table, followed.blocks)
            followed.begin(changes, self._next_ingestion())
            self._states.follow(changes)
            rows = fresh_rows(source, snapshot, table, changes)
            report = self._ingest(name, rows, FileJudge(FIVE_STARS), Identities(followed.taken), in_place=True)
        gone = followed.gone(report.replaced - self._states.moved)
        self._states.archive(gone, "gone", followed.ingestion)
        if gone.num_rows and not report.rows:
            self._record(followed.ingestion, name, (0, 0, 0, 0))
        followed.end()
        return report.model_copy(update={"gone": gone.num_rows})

    def file(self, file: FeedbackFile, mapping: Mapping[str, str], scale: Scale | None = None) -> IngestionReport:
        """Every row of the file.

        Args:
            mapping: for fields that have another name there, that name.
            scale: what the file's ratings mean, where it is not what `FileJudge` takes for granted.

        Raises:
            InputError: the file breaks off, lacks a column, is not on that scale, or `mapping` names no field. Nothing
                is to be kept then: let the warehouse roll back.
        """
        reading = FileReading(file, mapping)
        return self.read(reading, FileJudge(scale or reading.file.own_scale))

    def read(self, reading: FileReading, judge: FileJudge) -> IngestionReport:
        """As `file`; `reading` and `judge` have learnt what the file is like when this returns, or raises."""
        name = shown_name(Path(reading.file.path.name))
        report = self._ingest(name, reading.batches(), judge, Identities())
        judge.require_fit(shown_name(reading.file.path), has_thumbs="thumbs_up" in reading.columns.used)
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
            identities = Identities()
            for prepared in self._prepared([batch], FileJudge(FIVE_STARS)):
                for layer in layers(self._identified(prepared, identities)):
                    accepted += self._store(layer, source, number)[0]
                    released += _count(self.connection, "release_quarantine", {})
                    reasons += self._faults()
            self._record(number, source, (0, accepted, -released, released - accepted))
            total += IngestionReport(
                rows=len(rows), accepted=accepted, duplicates=released - accepted, quarantined=reasons
            )
        return total

    def _ingest(
        self,
        source: str,
        batches: Iterable[RowBatch],
        judge: FileJudge,
        identities: Identities,
        *,
        in_place: bool = False,
    ) -> IngestionReport:
        number, now = self._next_ingestion(), datetime.now(UTC).replace(tzinfo=None)
        report, refusals = IngestionReport(), Refusals()
        for prepared in self._prepared(batches, judge):
            batch = prepared.raw
            accepted, replaced, reasons = 0, 0, self._quarantine_unread(source, now, batch.refused, refusals)
            for layer in layers(self._identified(prepared, identities)):
                added, newer = self._store(layer, source, number, in_place=in_place)
                accepted, replaced = accepted + added, replaced + newer
                if self._faults():
                    reasons += self._quarantine_judged(source, now, batch, judge.scale, refusals)
            report += IngestionReport(
                rows=batch.size,
                accepted=accepted,
                duplicates=batch.size - accepted - reasons.total(),
                quarantined=reasons,
                replaced=replaced,
            )
        if report.rows:
            self._record(number, source, (report.rows, report.accepted, report.refused, report.duplicates))
        return report

    def _prepared(self, batches: Iterable[RowBatch], judge: FileJudge) -> Iterator[Batch]:
        """Batches parsed and cleaned, each step one batch ahead of the next, so that no core waits."""

        def parsed() -> Iterator[Batch]:
            for batch in batches:
                with row_parser(batch.paths, judge.scale) as parser:
                    rows = parser.parse(batch, self._secret)
                yield Batch(batch, judge.see(rows))

        def prepared() -> Iterator[Batch]:
            for batch in one_ahead(parsed()):
                yield Batch(batch.raw, self.preparer.prepare(batch.table))

        yield from one_ahead(prepared())

    def _identified(self, batch: Batch, identities: Identities) -> pa.Table:
        """Prepared rows with their ids, those that were erased with a fault."""
        rows = identities.assign(batch.table)
        if not self._erased:
            return rows
        digests = (erased_row_digest(self.preparer.pseudonyms, row) for row in rows["feedback_id"].to_pylist())
        return with_faults(rows, {row: _ERASED for row, digest in enumerate(digests) if digest in self._erased})

    def _judge(self, rows: pa.Table) -> None:
        """Let the view `judged_rows` show prepared rows."""
        self._prepared_rows.put(rows)
        self.connection.execute(sql("ingestion/judge_rows"))

    def _faults(self) -> Counter[str]:
        """Refused rows of `judged_rows` by reason."""
        return Counter(reason for (reason,) in self.connection.execute(sql("ingestion/select_faults")).fetchall())

    def _store(self, layer: pa.Table, source: str, ingestion: int, *, in_place: bool = False) -> tuple[int, int]:
        """Judge a layer and bring it into the tables, or into the history.

        Returns:
            How many rows were accepted, and how many of them took the place of an older state.
        """
        self._judge(layer)
        met = self._states.meet(source, in_place=in_place)
        if met.conflicts:
            conflicts = pc.is_in(layer["ordinal"], pa.array(met.conflicts, pa.int64()))
            self._judge(with_faults(layer, dict.fromkeys(pc.indices_nonzero(conflicts).to_pylist(), _CONFLICT)))
        self._states.make_room(met, source, ingestion, in_place=in_place)
        parameters = {"source": source, "ingestion": ingestion}
        statements = [_INSERTS[kind] for kind in pc.unique(layer["kind"]).to_pylist()]
        if met.of("older").num_rows:
            statements.append("insert_late_states")
        accepted = sum(_count(self.connection, statement, parameters) for statement in statements)
        return accepted, met.of("newer").num_rows

    def _quarantine_judged(
        self, source: str, now: datetime, batch: RowBatch, scale: Scale, refusals: Refusals
    ) -> Counter[str]:
        """Put what the view `judged_rows` refuses into quarantine. Returns what was not there yet, by reason."""
        variables = {
            "fields": list(FIELDS),
            "paths": json_paths(batch.paths),
            "scale_name": str(scale),
            "identity_secret": self._secret,
        }
        for name, value in variables.items():
            self.connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        self._raw_rows.put(numbered(batch))
        refused = self.connection.sql(sql("ingestion/select_refused")).to_arrow_table()
        return self._quarantine(source, now, refused, refusals)

    def _quarantine_unread(
        self, source: str, now: datetime, unread: Sequence[RefusedRow], refusals: Refusals
    ) -> Counter[str]:
        refused = unread_refusals(unread, lambda row: self._digest(row.content or f"{source}: {row.detail}")[:32])
        return self._quarantine(source, now, refused, refusals) if refused.num_rows else Counter()

    def _quarantine(self, source: str, now: datetime, refused: pa.Table, refusals: Refusals) -> Counter[str]:
        self._refused_rows.put(refusals.numbered(masked_refusals(refused.cast(REFUSED_SCHEMA), self._masker)))
        added = self.connection.execute(sql("ingestion/insert_quarantine"), {"source": source, "now": now}).fetchall()
        return Counter(reason for (reason,) in added)

    def _record(
        self,
        number: int,
        source: str,
        counts: tuple[int, int, int, int],
    ) -> None:
        names = ("rows_in", "accepted", "quarantined", "duplicates")
        self.connection.execute(
            sql("ingestion/insert_ingestion"),
            {
                **dict(zip(names, counts, strict=True)),
                "ingestion": number,
                "source": source,
                "ingested_at": datetime.now(UTC).replace(tzinfo=None),
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
    rows, times = hashlib.sha256(), hashlib.sha256()
    for batch in connection.sql(sql("ingestion/select_row_digests")).to_arrow_reader():
        whole = pa.ListArray.from_arrays([0, batch.num_rows], batch["row_digest"])
        rows.update(pc.binary_join(whole, "")[0].as_buffer())  # strings of Python would take twice the time
        times.update(batch["time"].to_numpy())
    return hashlib.sha256(rows.digest() + times.digest()).hexdigest()


def ledger(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows ever read and what the tables hold now: rows_in, accepted, repaired and masked (among the accepted),
    quarantined, duplicates."""
    cursor = connection.execute(sql("ingestion/count_ledger"))
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def masked_by_kind(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Personal identifiers masked in accepted rows: {cpf, cnpj, phone, cep, email, ip, name: how many}."""
    return dict(sorted(connection.execute(sql("ingestion/count_masked")).fetchall()))


def _count(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, object]) -> int:
    """Rows that a statement of that name changed."""
    return connection.execute(sql(f"ingestion/{statement}"), parameters).fetchall()[0][0]


def _scalar(connection: duckdb.DuckDBPyConnection, statement: str) -> Any:
    # fetchall, not fetchone: DuckDB refuses further statements while a result is unfinished
    return connection.execute(statement).fetchall()[0][0]
