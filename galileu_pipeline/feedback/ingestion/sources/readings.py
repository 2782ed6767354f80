"""One reading of a file of feedback: its rows, and what is learnt of the file on the way."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from galileu_pipeline.database import in_memory
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.columns import ColumnUse, listed, shown_column
from galileu_pipeline.feedback.ingestion.sources.compression import open_plain, reading
from galileu_pipeline.feedback.ingestion.sources.csv_rows import read_csv, read_header
from galileu_pipeline.feedback.ingestion.sources.encoding import UTF8, text_encoding
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile, Format
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import converted
from galileu_pipeline.feedback.ingestion.sources.json_document import read_json_document
from galileu_pipeline.feedback.ingestion.sources.json_lines import read_json_lines
from galileu_pipeline.feedback.ingestion.sources.json_wrapped import read_json_wrapped
from galileu_pipeline.feedback.ingestion.sources.parquet_rows import parquet_columns, read_parquet
from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.statements import sql

FIRST_ROWS = 3
_OF_OBJECTS = (Format.JSON_LINES, Format.JSON_ARRAY, Format.JSON_OBJECTS, Format.JSON_WRAPPED)


@dataclass
class FileReading:
    """The rows of `file`, to be read once.

    columns: which column is read as what; complete once all rows were read.
    encoding: of a text file.
    skipped: records in which nobody gave feedback, by what they are.
    first_rows: the first rows, field by field, as they came.
    """

    file: FeedbackFile
    mapping: Mapping[str, str]
    encoding: str = UTF8
    skipped: Counter[str] = field(default_factory=Counter)
    first_rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.mapping:  # whoever names columns knows better what the rows are
            self.file = replace(self.file, records=None)
        self.columns = ColumnUse(self.mapping, by_row=self.file.format in _OF_OBJECTS)

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in order.

        Raises:
            InputError: the file breaks off, cannot be decompressed, or lacks a column.
        """
        with reading(self.file.path):
            for batch in self._batches():
                self._keep_first(batch)
                self.columns.require_one_thumb()
                yield batch
            self.columns.require_mapped()

    def _batches(self) -> Iterator[RowBatch]:
        if self.file.format == Format.SQLITE:
            with self.file.plain() if self.file.compressed else nullcontext(self.file.path) as path:
                source = SqliteFeedback(path, self.columns)
                for table in TABLES:
                    yield from source.batches(table)
            return
        if self.file.format == Format.PARQUET:
            yield from self._parquet()
            return
        self.encoding = self._encoding()
        if self.file.format == Format.CSV:
            yield from self._csv()
        elif self.file.records:
            yield from converted(self._json(), self.file.records, self.skipped)
        else:
            yield from self._located(self._json())

    def _encoding(self) -> str:
        with open_plain(self.file.path) as file:
            encoding = text_encoding(file)
        if encoding is None:
            raise InputError(
                "it is not UTF-8, and its letters are not those of Windows-1252 either. Nothing of it was imported; "
                "save it as UTF-8."
            )
        return encoding

    def _csv(self) -> Iterator[RowBatch]:
        with self.file.opened(self.encoding) as file:
            text = io.TextIOWrapper(file, encoding=UTF8, errors="surrogateescape", newline="")
            header = read_header(text, list(self.mapping.values()))
            self.columns.see(header.names)
            _require_columns(self.columns, header.names)
            for batch in read_csv(header, self.columns.used):
                yield replace(batch, paths=self.columns.json_paths())

    def _parquet(self) -> Iterator[RowBatch]:
        with self.file.plain() as path:
            if self.file.records:
                yield from converted(read_parquet(path), self.file.records, self.skipped)
                return
            names = parquet_columns(path)
            self.columns.see(names)
            _require_columns(self.columns, names)
            yield from self._located(read_parquet(path))

    def _json(self) -> Iterator[RowBatch]:
        if self.file.format in (Format.JSON_ARRAY, Format.JSON_OBJECTS):
            layout = "array" if self.file.format == Format.JSON_ARRAY else "unstructured"
            with self.file.plain(self.encoding) as path:
                yield from read_json_document(path, layout)
            return
        with self.file.opened(self.encoding) as file:
            read = read_json_wrapped if self.file.format == Format.JSON_WRAPPED else read_json_lines
            yield from read(file)

    def _located(self, batches: Iterator[RowBatch]) -> Iterator[RowBatch]:
        """Batches of JSON objects with the places of their fields: any row may bring a name that is new."""
        with in_memory() as connection:
            for batch in batches:
                connection.register("raw_rows", pa.table({"row": batch.rows}))
                names = [name for (name,) in connection.execute(sql("ingestion/select_names")).fetchall()]
                self.columns.see(names)
                if self.columns.may_unify(names):
                    batch = replace(batch, rows=pa.array(map(self._unified, batch.rows.to_pylist()), pa.string()))
                for target, path in self.columns.inner_paths():
                    places = connection.execute(sql("ingestion/count_places"), {"path": path}).fetchall()
                    self.columns.see_inner(target, places[0][0])
                yield replace(batch, paths=self.columns.json_paths())

    def _unified(self, row: str) -> str:
        """A row with its fields under the names that the others have, if it spells them otherwise."""
        unified = self.columns.unified(record) if (record := _record(row)) else None
        return row if unified is None else json.dumps(unified)

    def _keep_first(self, batch: RowBatch) -> None:
        for row in batch.rows[: FIRST_ROWS - len(self.first_rows)].to_pylist():
            record = _record(row)
            if record is None:
                continue
            self.first_rows.append(record if self.file.records else self.columns.fields_of(record))


def _record(row: str) -> dict[str, Any] | None:
    """The JSON object that a row is; None where it is none."""
    try:
        record = json.loads(row)
        row.encode()
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _require_columns(columns: ColumnUse, names: list[str]) -> None:
    """A file of columns holds one kind of row or all of them: it needs the columns of one of the tables."""
    kinds = [[columns.mapping.get(name, name) for name in table.required] for table in TABLES]
    if any(set(columns.used).issuperset(table.required) for table in TABLES):
        return
    columns.require_mapped()
    proposals = [f"--map {target}={shown_column(name)}" for name, target in columns.unused.items() if target]
    likely = f" (likely: {' '.join(proposals)})" if proposals else ""
    raise InputError(
        f"the columns are {listed(names)}; needed are {' and '.join(kinds[0])} (ratings), or {', '.join(kinds[1])} "
        f"(preferences). If a column has another name, say so: --map query=NAME --map response=NAME{likely}"
    )
