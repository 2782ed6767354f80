"""Any file of feedback: its format is found by its content, whatever its name."""

import gzip
import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.csv_rows import read_csv, read_header
from galileu_pipeline.feedback.ingestion.sources.json_document import read_json_document
from galileu_pipeline.feedback.ingestion.sources.json_lines import read_json_lines
from galileu_pipeline.feedback.ingestion.sources.parquet_rows import parquet_columns, read_parquet
from galileu_pipeline.feedback.ingestion.sources.rows import MAX_ROW_BYTES, RowBatch
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import TABLES, SqliteFeedback

_GZIP, _SQLITE, _PARQUET, _UTF8_BOM = b"\x1f\x8b", b"SQLite format 3\x00", b"PAR1", b"\xef\xbb\xbf"
_NOT_OURS = {
    b"PK\x03\x04": "a ZIP or spreadsheet file; save the sheet as CSV (UTF-8)",
    b"\xff\xfe": "in UTF-16; save it as UTF-8",
    b"\xfe\xff": "in UTF-16; save it as UTF-8",
    b"%PDF": "a PDF file",
}
_HEAD_BYTES = 4096


class Format(StrEnum):
    """How a file is laid out."""

    SQLITE = "sqlite"
    JSON_LINES = "json_lines"
    JSON_ARRAY = "json_array"
    JSON_OBJECTS = "json_objects"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class FeedbackFile:
    """A file of feedback: votes, side-by-side choices, or both."""

    path: Path
    format: Format
    compressed: bool

    @classmethod
    def recognise(cls, path: Path) -> "FeedbackFile":
        """Look at the beginning of the file.

        Raises:
            InputError: there is no such file, it is empty, or nothing that can be imported.
        """
        if not path.is_file():
            raise InputError(f"{path} is not a file.")
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        with _reading(path), _open(path, compressed) as file:
            head = file.read(_HEAD_BYTES)
            if not head.removeprefix(_UTF8_BOM).strip():
                raise InputError(f"{path} is empty.")
            for magic, what in _NOT_OURS.items():
                if head.startswith(magic):
                    raise InputError(f"{path} is {what}.")
            if head.startswith(_SQLITE):
                return cls(path, Format.SQLITE, compressed)
            if head.startswith(_PARQUET):
                return cls(path, Format.PARQUET, compressed)
            first = head.removeprefix(_UTF8_BOM).lstrip()[:1]
            if first == b"[":
                return cls(path, Format.JSON_ARRAY, compressed)
            if first == b"{":
                return cls(path, _lines_or_objects(head, file), compressed)
            return cls(path, Format.CSV, compressed)

    def batches(self, mapping: Mapping[str, str]) -> Iterator[RowBatch]:
        """The rows, in order.

        Args:
            mapping: for columns of the guide, the name each has in this file.

        Raises:
            InputError: the file breaks off, cannot be decompressed, or lacks a column.
        """
        with _reading(self.path):
            if self.format in (Format.JSON_ARRAY, Format.JSON_OBJECTS):
                layout = "array" if self.format == Format.JSON_ARRAY else "unstructured"
                with self._plain() as path:
                    yield from read_json_document(path, layout)
            elif self.format == Format.SQLITE:
                with self._plain() as path:
                    source = SqliteFeedback(path, mapping)
                    for table in TABLES:
                        yield from source.batches(table)
            elif self.format == Format.PARQUET:
                with self._plain() as path:
                    _require_columns(parquet_columns(path), mapping)
                    yield from read_parquet(path)
            else:
                with _open(self.path, self.compressed) as file:
                    if file.read(len(_UTF8_BOM)) != _UTF8_BOM:
                        file.seek(0)
                    yield from self._lines(file, mapping)

    def _lines(self, file: IO[bytes], mapping: Mapping[str, str]) -> Iterator[RowBatch]:
        if self.format == Format.JSON_LINES:
            yield from read_json_lines(file)
            return
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        delimiter, names = read_header(text)
        _require_columns(names, mapping)
        yield from read_csv(text, delimiter, names)

    @contextmanager
    def _plain(self) -> Iterator[Path]:
        """The path of the file decompressed, for readers that need a file and no stream."""
        if not self.compressed:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="galileu-import-") as folder:
            plain = Path(folder) / self.path.name.removesuffix(".gz")
            with gzip.open(self.path) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
            yield plain


def _open(path: Path, compressed: bool) -> IO[bytes]:
    return gzip.open(path, "rb") if compressed else path.open("rb")  # type: ignore[return-value]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Faults of the file, told as such."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged: {error}. Nothing of it was imported.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}.") from error


def _lines_or_objects(head: bytes, file: IO[bytes]) -> Format:
    """JSON lines if the first line is a whole object, else objects over several lines; if in doubt, lines."""
    line = (head + file.readline(MAX_ROW_BYTES)).removeprefix(_UTF8_BOM).lstrip().split(b"\n")[0]
    try:
        json.loads(line)
    except ValueError:
        return (
            Format.JSON_OBJECTS if line.strip() == b"{" or line.rstrip().endswith((b",", b"{")) else Format.JSON_LINES
        )
    return Format.JSON_LINES


def _require_columns(names: list[str], mapping: Mapping[str, str]) -> None:
    """A text file holds one kind of row: it needs the columns of one of the tables."""
    found = set(names)
    kinds = [[mapping.get(name, name) for name in table.required] for table in TABLES]
    if any(found.issuperset(kind) for kind in kinds):
        return
    shown = ", ".join(names[:20])
    raise InputError(
        f"the columns are {shown[:300]}; needed are {' and '.join(kinds[0])} (ratings), or {', '.join(kinds[1])} "
        "(preferences). If a column has another name, say so: --map query=NAME --map response=NAME"
    )
