"""Any file of feedback: how it is laid out is found by its content, whatever its name."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.scale import Scale
from galileu_pipeline.feedback.ingestion.sources import json_wrapped
from galileu_pipeline.feedback.ingestion.sources.compression import (
    HEAD_BYTES,
    UTF8_BOM,
    is_compressed,
    looks_like_json,
    name_other_file,
    open_plain,
    reading,
    shown_name,
)
from galileu_pipeline.feedback.ingestion.sources.encoding import UTF8, utf8
from galileu_pipeline.feedback.ingestion.sources.formats import recognise_format
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import RecordFormat
from galileu_pipeline.feedback.ingestion.sources.parquet_rows import first_record
from galileu_pipeline.feedback.ingestion.sources.rows import MAX_ROW_BYTES

SQLITE_HEAD, _PARQUET = b"SQLite format 3\x00", b"PAR1"
_LIST_OPENS = re.compile(r"\s*\[?\s*")


class Format(StrEnum):
    """How a file is laid out."""

    SQLITE = "sqlite"
    JSON_LINES = "json_lines"
    JSON_ARRAY = "json_array"
    JSON_OBJECTS = "json_objects"
    JSON_WRAPPED = "json_wrapped"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class FeedbackFile:
    """A file of feedback: votes, side-by-side choices, or both.

    records: what its rows are where another program made them; None for rows of this project's own shape.
    """

    path: Path
    format: Format
    compressed: bool
    records: RecordFormat | None = None

    @classmethod
    def recognise(cls, path: Path) -> "FeedbackFile":
        """Look at the beginning of the file.

        Raises:
            InputError: there is no such file, it is empty, or nothing that can be imported.
        """
        if not path.is_file():
            raise InputError(f"{shown_name(path)} is not a file.")
        with reading(path), open_plain(path) as file:
            compressed, head = is_compressed(path), file.peek(HEAD_BYTES)
            if not head.removeprefix(UTF8_BOM).strip():
                raise InputError(f"{shown_name(path)} is empty.")
            if head.startswith(SQLITE_HEAD):
                return cls(path, Format.SQLITE, compressed)
            if head.startswith(_PARQUET):
                return cls._parquet(path, compressed)
            if other := name_other_file(head):
                raise InputError(f"{shown_name(path)} is {other}.")
            if not looks_like_json(head):
                return cls(path, Format.CSV, compressed)
            layout, first = _json_layout(file)
            return cls(path, layout, compressed, recognise_format(first))

    @classmethod
    def _parquet(cls, path: Path, compressed: bool) -> "FeedbackFile":
        with cls(path, Format.PARQUET, compressed).plain() as plain:
            return cls(path, Format.PARQUET, compressed, recognise_format(first_record(plain)))

    @property
    def own_scale(self) -> Scale | None:
        """The scale of ratings that goes with the kind of records, where there is one."""
        return Scale.parse(self.records.scale) if self.records and self.records.scale else None

    @contextmanager
    def opened(self, encoding: str = UTF8) -> Iterator[IO[bytes]]:
        """Its content, decompressed, behind the byte order mark; in UTF-8 where it is in `encoding`."""
        with open_plain(self.path) as file:
            if file.peek(len(UTF8_BOM)).startswith(UTF8_BOM):
                file.read(len(UTF8_BOM))
            yield utf8(file, encoding)

    @contextmanager
    def plain(self, encoding: str = UTF8) -> Iterator[Path]:
        """A path of the file decompressed, for readers that need a file and no stream; in UTF-8, as `opened`.

        In its name is nothing that DuckDB would take for a pattern, or could not be told.
        """
        with tempfile.TemporaryDirectory(prefix="galileu-import-") as folder:
            plain = Path(folder) / "feedback"
            if self.compressed or encoding != UTF8:
                with open_plain(self.path) as packed, plain.open("wb") as unpacked:
                    shutil.copyfileobj(utf8(packed, encoding), unpacked, 1 << 20)
            else:
                plain.symlink_to(self.path.resolve())
            yield plain


def _json_layout(file: IO[bytes]) -> tuple[Format, dict[str, Any]]:
    """How JSON is laid out, and its first object (empty where it cannot be read); `file` is read on for both."""
    head = file.read(HEAD_BYTES)
    text = head.removeprefix(UTF8_BOM).decode("utf-8", "replace").lstrip()
    begins = json_wrapped.list_begins(text)
    opens = _LIST_OPENS.match(text, begins or 0)
    start = opens.end() if opens else 0
    record, end = _first_object(text, start)
    if end is None and len(head) == HEAD_BYTES:
        text = (head + file.read(MAX_ROW_BYTES)).removeprefix(UTF8_BOM).decode("utf-8", "replace").lstrip()
        record, end = _first_object(text, start)
    if begins is not None:
        whole, whole_end = _first_object(text, 0)
        follows = "" if whole_end is None else text[whole_end:].lstrip()
        # A record of its own, with a list in it, is no wrapper of rows.
        if not recognise_format(whole) and not follows.startswith("{"):
            return Format.JSON_WRAPPED, record
        record, end = whole, whole_end
    if text.startswith("["):
        # A list may be the first of many lines; then each of them is refused with its number.
        return Format.JSON_ARRAY, record
    if end is None:
        first_line = text.split("\n", 1)[0].rstrip()
        several = first_line == "{" or first_line.endswith((",", "{"))
        return (Format.JSON_OBJECTS if several else Format.JSON_LINES), record
    one_line = "\n" not in text[:end].rstrip() and text[end:].lstrip(" \t\r")[:1] in ("", "\n")
    return (Format.JSON_LINES if one_line else Format.JSON_OBJECTS), record


def _first_object(text: str, start: int) -> tuple[dict[str, Any], int | None]:
    try:
        record, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return {}, None
    return (record if isinstance(record, dict) else {}), end
