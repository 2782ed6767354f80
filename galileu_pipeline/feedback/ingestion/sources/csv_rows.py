"""CSV, as spreadsheets write it: any of the usual delimiters, quoted cells over several lines."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

import pyarrow as pa

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.ingestion.scale import ABSENT_WORDS
from galileu_pipeline.feedback.ingestion.sources.columns import folded, shown_column
from galileu_pipeline.feedback.ingestion.sources.csv_records import LineReader, Record, RecordReader
from galileu_pipeline.feedback.ingestion.sources.formula_guards import without_guards
from galileu_pipeline.feedback.ingestion.sources.rows import BATCH_ROWS, RefusedRow, RowBatch
from galileu_pipeline.feedback.ingestion.sources.shapes import FIELD_NAMES, TABLES

DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's own first line
_HEADER_LINES = 20
_KNOWN = {folded(name) for name in FIELD_NAMES}
# What cells of these fields look like, so that a line of text is not taken for a row.
_TEXT = re.compile(r".*\S.*")
_ABSENT = "(?i:" + "|".join(map(re.escape, ABSENT_WORDS)) + ")"
_LOOKS = {
    **dict.fromkeys((name for table in TABLES for name in table.required if name != "verdict"), _TEXT),
    "verdict": re.compile(r"\s*[\w ()]{1,30}"),
    "rating": re.compile(rf"\s*(?:[+-]?\d+(?:[.,]\d+)?|{_ABSENT})\s*"),
    "thumbs_up": re.compile(rf"\s*(?:[\w+👍👎-]{{1,11}}|{_ABSENT}|(?i:n[ãa]o) \w+)\s*"),
    "timestamp": re.compile(rf"\s*(?:\d[\d/.:, +A-Zàs-]{{3,40}}|[A-Z][a-z]{{2}},? .{{8,60}}|{_ABSENT})\s*"),
}


@dataclass(frozen=True)
class Header:
    """The names of a file's columns, and where its rows begin. Nameless columns are read by nobody."""

    delimiter: str
    names: list[str]
    lines: LineReader


def read_header(file: TextIO, wanted: Sequence[str] = ()) -> Header:
    """The names of the columns, which may be quoted, with line breaks or delimiters in them.

    Args:
        wanted: names by which the delimiter may be known, besides those of fields.

    Raises:
        InputError: there is no header that could be one.
    """
    lines = LineReader(file)
    number, text = next((item for item in lines if item[1].strip()), (1, ""))
    declared = _SEPARATOR_LINE.fullmatch(text)
    if not declared:
        lines.put_back([(number, text)])
    first = list(islice(lines, _HEADER_LINES))
    known = _KNOWN | {folded(name) for name in wanted}
    delimiters = declared[1] if declared else DELIMITERS
    candidates = [found for delimiter in delimiters if (found := _names(first, delimiter)) is not None]
    if not candidates:
        raise InputError("the first line is not a CSV header; is a quotation mark left open?")

    def fit(candidate: tuple[str, list[str], int]) -> tuple[int, bool, int, int]:
        delimiter, names, used = candidate
        alike = sum(text.count(delimiter) == len(names) - 1 for _, text in first[used:])
        return sum(folded(name) in known for name in names), len(names) > 1, alike, len(names)

    delimiter, names, used = max(candidates, key=fit)
    if _has_row_names(first[used:], delimiter, len(names)):
        raise InputError(
            "the rows have one cell more than the header, and begin with their numbers, so that nobody knows which "
            "cell is which. If R wrote the file, say row.names = FALSE there; else name all columns."
        )
    while names and not names[-1]:
        names.pop()
    lines.put_back(first[used:])
    named = [name for name in names if name]
    if not named:
        raise InputError("the first line is not a CSV header: its names are empty")
    if twice := [name for name in named if named.count(name) > 1]:
        raise InputError(f"the first line is not a CSV header: the name {shown_column(twice[0])} stands twice")
    return Header(delimiter, names, lines)


def read_csv(header: Header, used: dict[str, str]) -> Iterator[RowBatch]:
    """The rows after the header, as JSON objects of strings; empty cells are null. Positions are line numbers.

    Args:
        used: for each field, the name of its column.
    """
    width = len(header.names)
    records = RecordReader(header.lines, header.delimiter, width, _row_test(header, used))
    rows = (
        _row(record, header.names)
        for record in records
        if record.fault or (any(record.cells) and not _is_header(record.cells, header.names))
    )
    while batch := list(islice(rows, BATCH_ROWS)):
        good = [row for row in batch if not isinstance(row, RefusedRow)]
        yield RowBatch(
            pa.array([line for line, _ in good], pa.int64()),
            pa.array([row for _, row in good], pa.string()),
            [row for row in batch if isinstance(row, RefusedRow)],
        )


def _names(lines: Sequence[tuple[int, str]], delimiter: str) -> tuple[str, list[str], int] | None:
    """The delimiter, the names that it gives, and how many lines they take; None if it gives none."""
    reader = csv.reader((text for _, text in lines), delimiter=delimiter, strict=True)
    try:
        cells = next(reader, [])
    except csv.Error:
        return None
    return delimiter, [" ".join(cell.split()) for cell in cells], reader.line_num


def _has_row_names(rows: Sequence[tuple[int, str]], delimiter: str, width: int) -> bool:
    """Whether the rows seem to begin with their numbers, a column without a name, as of R's `write.table`."""
    several = [text.rstrip("\r\n") for _, text in rows[:2]]
    return bool(several) and all(
        text.startswith(f'"{number}"')
        and not text.endswith(delimiter)
        and len(next(csv.reader([text], delimiter=delimiter))) == width + 1
        for number, text in enumerate(several, start=1)
    )


def _is_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether it is the header again, as where files were put one behind the other."""
    if cells[0].strip("\ufeff ") != names[0]:
        return False
    again = [" ".join(cell.strip("\ufeff").split()) for cell in cells]
    return again[: len(names)] == names and not any(again[len(names) :])


def _row_test(header: Header, used: dict[str, str]) -> Callable[[list[str]], bool]:
    """Whether a line could be a row of its own.

    Where all cells may hold any text, only tabs can tell: between quotation marks there are commas as one likes, but
    hardly ever just as many tabs as in a row.
    """
    looks = {field: look for field, look in _LOOKS.items() if used.get(field) in header.names}
    places = [(header.names.index(used[field]), look) for field, look in looks.items()]
    telling = header.delimiter == "\t" or any(look is not _TEXT for look in looks.values())
    return lambda cells: telling and all(look.fullmatch(cells[place]) for place, look in places)


def _row(record: Record, names: Sequence[str]) -> tuple[int, str] | RefusedRow:
    """The record as a JSON object. A short one lacks its last cells, as spreadsheets leave empty ones out."""
    cells = record.cells
    if record.too_long:
        return RefusedRow(record.line, Reason.ROW_TOO_LONG, record.fault or "")
    if record.fault:
        return RefusedRow(record.line, Reason.RAGGED_ROW, record.fault, repr(cells))
    if any(cells[len(names) :]):
        detail = f"{len(cells)} cells, but the header has {len(names)} names"
        return RefusedRow(record.line, Reason.RAGGED_ROW, detail, repr(cells))
    named = {name: cell or None for name, cell in zip(names, cells, strict=False) if name}
    row = json.dumps(without_guards(named), ensure_ascii=False)
    if not _is_utf8(row):
        return RefusedRow(record.line, Reason.INVALID_UTF8, "not valid UTF-8", repr(cells))
    return record.line, row


def _is_utf8(text: str) -> bool:
    """False where bytes that are not UTF-8 came in as lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
