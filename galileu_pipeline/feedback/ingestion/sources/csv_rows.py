"""CSV, as spreadsheets write it: any of the usual delimiters, quoted fields over several lines."""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TextIO

import pyarrow as pa

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.ingestion.sources.formula_guards import without_guards
from galileu_pipeline.feedback.ingestion.sources.rows import BATCH_ROWS, MAX_ROW_BYTES, RefusedRow, RowBatch

DELIMITERS = ",;\t|"


def read_header(file: TextIO) -> tuple[str, list[str]]:
    """The delimiter and the columns' names; leaves `file` at its second row.

    Raises:
        InputError: there is no header that could be one.
    """
    line = file.readline(MAX_ROW_BYTES)
    delimiter = max(DELIMITERS, key=line.count)
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise InputError(f"the first line is not a CSV header: {error}") from error
    if not names or len(set(names)) != len(names):
        raise InputError("the first line is not a CSV header: its names are empty, or one stands twice")
    return delimiter, names


def read_csv(file: TextIO, delimiter: str, names: Sequence[str]) -> Iterator[RowBatch]:
    """The rows after the header, as JSON objects of strings; empty cells are null. Positions are line numbers."""
    csv.field_size_limit(MAX_ROW_BYTES)
    numbered = _numbered(csv.reader(file, delimiter=delimiter), names)
    while batch := list(islice(numbered, BATCH_ROWS)):
        good = [(line, row) for line, row in batch if isinstance(row, str)]
        yield RowBatch(
            pa.array([line for line, _ in good], pa.int64()),
            pa.array([row for _, row in good], pa.string()),
            [row for _, row in batch if isinstance(row, RefusedRow)],
        )


def _numbered(reader: Iterator[list[str]], names: Sequence[str]) -> Iterator[tuple[int, str | RefusedRow]]:
    """Each row with the line it begins on (the header is line 1)."""
    while True:
        line = reader.line_num + 2  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, RefusedRow(line, Reason.ROW_TOO_LONG, f"{error}; is a quotation mark left open?")
            continue
        if not any(cells):
            continue
        named = without_guards({name: cell or None for name, cell in zip(names, cells, strict=False)})
        record = json.dumps(named, ensure_ascii=False)
        if len(cells) != len(names):
            detail = f"{len(cells)} cells, but the header has {len(names)} names"
            yield line, RefusedRow(line, Reason.RAGGED_ROW, detail, repr(cells))
        elif not _is_utf8(record):
            yield line, RefusedRow(line, Reason.INVALID_UTF8, "not valid UTF-8", repr(cells))
        else:
            yield line, record


def _is_utf8(text: str) -> bool:
    """False where bytes that are not UTF-8 came in as lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
