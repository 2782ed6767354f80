"""The chatbot's SQLite file, in the guide's shape, read without ever writing to it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch, batch_of_bytes

FETCH_ROWS = 10_000


@dataclass(frozen=True)
class SourceTable:
    """A table of the guide's shape: the columns it must have, and those it may have."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.required + self.optional


_EVENT = ("feedback_id", "timestamp", "session_id", "user_id", "metadata")
VOTES = SourceTable(
    name="feedback",
    required=("query", "response"),
    optional=(*_EVENT, "rating", "thumbs_up", "comment", "source_documents"),
)
CHOICES = SourceTable(
    name="preference_pairs",
    required=("query", "response_chosen", "response_rejected"),
    optional=(*_EVENT, "reason"),
)
COMPARISONS = SourceTable(
    name="comparisons",
    required=("query", "response_left", "response_right", "verdict"),
    optional=(*_EVENT, "model_left", "model_right", "reason"),
)
TABLES = (VOTES, CHOICES, COMPARISONS)


class SqliteFeedback:
    """The file at `path`, opened read-only.

    Raises:
        InputError: there is no such file, it is not SQLite or damaged, or a table lacks a column it must have.
    """

    def __init__(self, path: Path, mapping: Mapping[str, str] | None = None) -> None:
        """`mapping` gives, for a column of the guide, the name it has in this file."""
        self.path = path
        self._mapping = mapping or {}
        if not path.is_file():
            raise InputError(
                f"There is no feedback at {path}. Let the chatbot write there (`galileu chat` does), bring feedback in "
                "with `galileu import`, or run `galileu demo` to begin with the sample."
            )
        self._columns = {table.name: self._columns_of(table) for table in TABLES}
        if not any(self._columns.values()):
            raise InputError(f"{path} has neither a table `feedback` nor `preference_pairs`; is it the chatbot's file?")

    def batches(self, table: SourceTable) -> Iterator[RowBatch]:
        """The rows of `table` by rowid; none if there is no such table.

        Raises:
            InputError: the file is damaged.
        """
        if not self._columns[table.name]:
            return
        try:
            with closing(self._connect()) as connection:
                cursor = connection.execute(self._statement(table, "TRUE ORDER BY rowid"))
                while batch := cursor.fetchmany(FETCH_ROWS):
                    yield batch_of_bytes([position for position, _ in batch], [row for _, row in batch])
        except sqlite3.DatabaseError as error:
            raise self._unreadable(table, error) from error

    @contextmanager
    def snapshot(self, table: SourceTable) -> Iterator[sqlite3.Connection]:
        """A connection that sees the file as it is now, whatever is written meanwhile.

        Raises:
            InputError: the file is damaged.
        """
        try:
            with closing(self._connect()) as connection:
                connection.isolation_level = None
                connection.text_factory = bytes  # what is not UTF-8 is to be told as such, later
                connection.execute("BEGIN")
                yield connection
        except sqlite3.DatabaseError as error:
            raise self._unreadable(table, error) from error

    def has(self, table: SourceTable) -> bool:
        """Whether the file has that table."""
        return bool(self._columns[table.name])

    def first_position(
        self, connection: sqlite3.Connection, table: SourceTable, least: int | None = None
    ) -> int | None:
        """The smallest rowid, or the smallest that is at least `least`."""
        condition = "TRUE" if least is None else f"rowid >= {least}"
        found = connection.execute(f'SELECT min(rowid) FROM "{table.name}" WHERE {condition}').fetchone()[0]
        return None if found is None else int(found)

    def last_given(self, connection: sqlite3.Connection, table: SourceTable) -> int | None:
        """The greatest rowid the table ever gave; None where it keeps no count."""
        counts = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
        if connection.execute(counts).fetchone() is None:
            return None
        found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
        return None if found is None else int(found[0])

    def values_between(
        self, connection: sqlite3.Connection, table: SourceTable, first: int, last: int
    ) -> list[tuple[object, ...]]:
        """Rowid and columns of the rows from `first` to `last`, by rowid."""
        columns = ", ".join(self._columns[table.name].values())
        statement = f'SELECT rowid, {columns} FROM "{table.name}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid'
        return connection.execute(statement, (first, last)).fetchall()

    def rows_between(
        self, connection: sqlite3.Connection, table: SourceTable, first: int, last: int
    ) -> Iterator[tuple[int, bytes]]:
        """Rowid and JSON text of the rows from `first` to `last`, by rowid."""
        yield from connection.execute(self._statement(table, "rowid BETWEEN ? AND ? ORDER BY rowid"), (first, last))

    def _statement(self, table: SourceTable, condition: str) -> str:
        """A row as one JSON object. What JSON cannot hold (a BLOB) becomes an object, and is refused as not text."""
        fields = ", ".join(
            f"'{name}', CASE typeof({column}) WHEN 'blob' THEN json_object('blob', hex({column})) ELSE {column} END"
            for name, column in self._columns[table.name].items()
        )
        return f'SELECT rowid, CAST(json_object({fields}) AS BLOB) FROM "{table.name}" WHERE {condition}'

    def _unreadable(self, table: SourceTable, error: sqlite3.DatabaseError) -> InputError:
        return InputError(
            f"{self.path}, table `{table.name}`: {error}. Restore the file from a backup, or save what can be read "
            f"with: sqlite3 {self.path.name} .recover"
        )

    def _columns_of(self, table: SourceTable) -> dict[str, str]:
        """The guide's columns that the table has, each with its quoted name there."""
        try:
            with closing(self._connect()) as connection:
                found = {row[1] for row in connection.execute(f'PRAGMA table_info("{table.name}")')}
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} cannot be read as SQLite: {error}") from error
        there = {name: self._mapping.get(name, name) for name in table.columns}
        missing = [there[name] for name in table.required if there[name] not in found]
        if found and missing:
            raise InputError(
                f"{self.path}: table `{table.name}` lacks the column {', '.join(missing)}. It has: "
                f"{', '.join(sorted(found))}. If a column has another name, say so: --map {table.required[0]}=NAME"
            )
        return {name: _quoted(column) for name, column in there.items() if column in found}

    def _connect(self) -> sqlite3.Connection:
        # A batch may be read in one thread and the connection closed in another, never both at a time.
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, timeout=30, check_same_thread=False)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
