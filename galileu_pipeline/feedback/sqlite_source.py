"""Reading the chatbot's own SQLite file, in the guide's shape, without ever writing to it."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from galileu_pipeline.errors import InputError

FETCH_ROWS = 5_000


@dataclass(frozen=True)
class SourceTable:
    """A table of the guide's shape: the columns it must have, and those it may have."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.required + self.optional


VOTES = SourceTable(
    name="feedback",
    required=("query", "response"),
    optional=(
        "feedback_id",
        "timestamp",
        "session_id",
        "user_id",
        "rating",
        "thumbs_up",
        "comment",
        "source_documents",
        "metadata",
    ),
)
CHOICES = SourceTable(
    name="preference_pairs",
    required=("query", "response_chosen", "response_rejected"),
    optional=("feedback_id", "timestamp", "session_id", "user_id", "reason", "metadata"),
)


@dataclass(frozen=True)
class SourceRow:
    """A row as it lies in the file. `position` is its rowid; `values` holds only columns that the guide names."""

    position: int
    values: Mapping[str, object]

    @property
    def digest(self) -> str:
        """sha256 of the row's values, whatever its position."""
        text = json.dumps(self.values, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class SqliteFeedback:
    """The file at `path`, opened read-only.

    Raises:
        InputError: there is no such file, it is not SQLite, or a table lacks a column it must have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(
                f"There is no feedback at {path}. Let the chatbot write there, set GALILEU_DATA_DIR to the folder "
                "that holds feedback/feedback.db, or run `galileu demo` to begin with the sample."
            )
        self._columns = {table.name: self._columns_of(table) for table in (VOTES, CHOICES)}
        if not any(self._columns.values()):
            raise InputError(f"{path} has neither a table `feedback` nor `preference_pairs`; is it the chatbot's file?")

    def rows(self, table: SourceTable, after: int = -1) -> Iterator[SourceRow]:
        """The rows of `table` whose rowid is greater than `after`, in that order; none if there is no such table."""
        yield from self._select(table, "rowid > ? ORDER BY rowid", after)

    def row_at(self, table: SourceTable, position: int) -> SourceRow | None:
        return next(self._select(table, "rowid = ?", position), None)

    def _select(self, table: SourceTable, condition: str, argument: int) -> Iterator[SourceRow]:
        names = self._columns[table.name]
        if not names:
            return
        columns = ", ".join(f'"{name}"' for name in names)  # names come from SourceTable, never from the file
        with closing(self._connect()) as connection:
            cursor = connection.execute(f'SELECT rowid, {columns} FROM "{table.name}" WHERE {condition}', (argument,))
            while batch := cursor.fetchmany(FETCH_ROWS):
                for position, *values in batch:
                    yield SourceRow(position, dict(zip(names, values, strict=True)))

    def _columns_of(self, table: SourceTable) -> tuple[str, ...]:
        try:
            with closing(self._connect()) as connection:
                found = {row[1] for row in connection.execute(f'PRAGMA table_info("{table.name}")')}
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} cannot be read as SQLite: {error}") from error
        missing = [name for name in table.required if name not in found]
        if found and missing:
            raise InputError(f"{self.path}: table `{table.name}` lacks the column {', '.join(missing)}.")
        return tuple(name for name in table.columns if name in found)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        # Text that is not UTF-8 must reach validation, not stop the whole ingestion.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        return connection
