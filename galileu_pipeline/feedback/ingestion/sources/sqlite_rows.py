"""The chatbot's SQLite file, in the guide's shape, read without ever writing to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from galileu_pipeline.errors import InputError, SourceBusyError
from galileu_pipeline.feedback.ingestion.sources.columns import ColumnUse, listed
from galileu_pipeline.feedback.ingestion.sources.compression import shown_name
from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch, batch_of_bytes
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES, SourceTable

FETCH_ROWS = 10_000
LOCK_TIMEOUT_S = 30.0


class SqliteFeedback:
    """The file at `path`, opened read-only.

    Raises:
        InputError: there is no such file, it is not SQLite or damaged, or a table lacks a column it must have.
    """

    def __init__(self, path: Path, columns: ColumnUse | None = None) -> None:
        """`columns` takes note of which of the file's columns are read."""
        self.path = path
        self._use = columns or ColumnUse({})
        if not path.is_file():
            raise InputError(
                f"There is no feedback at {path}. Let the chatbot write there (`galileu chat` does), bring feedback in "
                "with `galileu import`, or run `galileu demo` to begin with the sample."
            )
        with self._reading() as connection:
            found = {table.name: _columns(connection, table.name) for table in TABLES}
            self._row_ids = {name: _row_id(connection, name, there) for name, there in found.items() if there}
        if not self._row_ids:
            raise InputError(
                f"{shown_name(path)} has neither a table `feedback` nor `preference_pairs`; is it the chatbot's file?"
            )
        self._columns = {table.name: self._columns_of(table, found[table.name]) for table in TABLES}

    def batches(self, table: SourceTable) -> Iterator[RowBatch]:
        """The rows of `table` by rowid; none if there is no such table.

        Rows of a view, or of a table WITHOUT ROWID, are counted from 1 instead, and read from the first each time.

        Raises:
            InputError: the file is damaged.
            SourceBusyError: another program has locked it.
        """
        if not self._columns[table.name]:
            return
        row_id = self._row_ids[table.name]
        with self._reading(table) as connection:
            if row_id is None:
                rows = self.counted_rows(connection, table)
            else:
                rows = iter(connection.execute(self._statement(table, f"ORDER BY {row_id}")))
            while batch := list(islice(rows, FETCH_ROWS)):
                yield batch_of_bytes([position for position, _ in batch], [row for _, row in batch])

    @contextmanager
    def snapshot(self, table: SourceTable) -> Iterator[sqlite3.Connection]:
        """A connection that sees the file as it is now, whatever is written meanwhile.

        Raises:
            InputError: the file is damaged.
            SourceBusyError: another program has locked it.
        """
        with self._reading(table) as connection:
            connection.isolation_level = None
            connection.text_factory = bytes  # what is not UTF-8 is to be told as such, later
            connection.execute("BEGIN")
            yield connection

    def has(self, table: SourceTable) -> bool:
        """Whether the file has that table, or a view of its name."""
        return bool(self._columns[table.name])

    def has_row_ids(self, table: SourceTable) -> bool:
        """Whether its rows keep a number while others come and go: not those of a view, or of a table WITHOUT ROWID."""
        return self._row_ids.get(table.name) is not None

    def first_position(
        self, connection: sqlite3.Connection, table: SourceTable, least: int | None = None
    ) -> int | None:
        """The smallest rowid, or the smallest that is at least `least`."""
        row_id = self._row_ids[table.name]
        condition = "TRUE" if least is None else f"{row_id} >= {least}"
        found = connection.execute(f'SELECT min({row_id}) FROM "{table.name}" WHERE {condition}').fetchone()[0]
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
        columns, row_id = ", ".join(self._columns[table.name].values()), self._row_ids[table.name]
        statement = f'SELECT {row_id}, {columns} FROM "{table.name}" {self._between(table)}'
        return connection.execute(statement, (first, last)).fetchall()

    def rows_between(
        self, connection: sqlite3.Connection, table: SourceTable, first: int, last: int
    ) -> Iterator[tuple[int, bytes]]:
        """Rowid and JSON text of the rows from `first` to `last`, by rowid."""
        yield from connection.execute(self._statement(table, self._between(table)), (first, last))

    def counted_values(self, connection: sqlite3.Connection, table: SourceTable) -> Iterator[tuple[object, ...]]:
        """The columns of all rows, counted from 1 in the order in which the file gives them."""
        columns = ", ".join(self._columns[table.name].values())
        for number, values in enumerate(connection.execute(f'SELECT {columns} FROM "{table.name}"'), start=1):
            yield number, *values

    def counted_rows(self, connection: sqlite3.Connection, table: SourceTable) -> Iterator[tuple[int, bytes]]:
        """The JSON text of all rows, counted likewise."""
        for number, (_, row) in enumerate(connection.execute(self._statement(table, "")), start=1):
            yield number, row

    def _between(self, table: SourceTable) -> str:
        row_id = self._row_ids[table.name]
        return f"WHERE {row_id} BETWEEN ? AND ? ORDER BY {row_id}"

    def _statement(self, table: SourceTable, condition: str) -> str:
        """A row as one JSON object. What JSON cannot hold (a BLOB) becomes an object, and is refused as not text."""
        fields = ", ".join(
            f"'{name}', CASE typeof({column}) WHEN 'blob' THEN json_object('blob', hex({column})) ELSE {column} END"
            for name, column in self._columns[table.name].items()
        )
        row_id = self._row_ids[table.name] or "NULL"
        return f'SELECT {row_id}, CAST(json_object({fields}) AS BLOB) FROM "{table.name}" {condition}'

    def _columns_of(self, table: SourceTable, found: list[str]) -> dict[str, str]:
        """The guide's columns that the table has, each with its quoted name there."""
        use = ColumnUse(self._use.mapping)
        use.see(found)
        there = {name: use.used[name] for name in table.columns if name in use.used}
        self._use.see_table(use, there.values())
        missing = [self._use.mapping.get(name, name) for name in table.required if name not in there]
        if found and missing:
            raise InputError(
                f"{shown_name(self.path)}: table `{table.name}` lacks the column {listed(missing)}. It has: "
                f"{listed(sorted(found))}. If a column has another name, say so: --map {table.required[0]}=NAME"
            )
        return {name: quoted(column) for name, column in there.items()}

    @contextmanager
    def _reading(self, table: SourceTable | None = None) -> Iterator[sqlite3.Connection]:
        """A connection; what goes wrong with the file is told as such."""
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        shown = shown_name(self.path)
        try:
            # A batch may be read in one thread and the connection closed in another, never both at a time.
            with closing(
                sqlite3.connect(address, uri=True, timeout=LOCK_TIMEOUT_S, check_same_thread=False)
            ) as connection:
                yield connection
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise SourceBusyError(
                    f"{shown} is locked: another program has been writing to it for {LOCK_TIMEOUT_S:.0f} s. Let it "
                    "finish, or close it, then try again."
                ) from error
            if table is None:
                raise InputError(f"{shown} cannot be read as SQLite: {error}") from error
            if code == sqlite3.SQLITE_ERROR:  # the file is whole, but a view asks for what is not there
                raise InputError(f"{shown}, table `{table.name}`: {error}.") from error
            raise InputError(
                f"{shown}, table `{table.name}`: {error}. Restore the file from a backup, or save what can be read "
                f"with: sqlite3 {shown_name(Path(self.path.name))} .recover"
            ) from error


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table or view, computed ones among them; none where there is no such table."""
    # Of `hidden`, 1 are those of virtual tables that hold no data.
    rows = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1", (table,))
    return [name for (name,) in rows]


def _row_id(connection: sqlite3.Connection, table: str, columns: list[str]) -> str | None:
    """The name by which a table's rowid can be asked for, which a column may have taken; None where it has none."""
    kinds = connection.execute("SELECT type, wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,)).fetchall()
    if kinds != [("table", 0)]:
        return None
    taken = {column.lower() for column in columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
