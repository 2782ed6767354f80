"""A person's feedback, out of the chatbot's file and out of the warehouse, so that no byte of it is left there.

A person is whoever a row names: the user or, where it names none, the session.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import duckdb

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms, known
from galileu_pipeline.feedback.ingestion.sources.columns import ColumnUse
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import quoted
from galileu_pipeline.feedback.statements import sql

_BUSY_TIMEOUT_S = 60.0


def collected_rows(data: DataFolder, pseudonyms: Pseudonyms, person: str) -> dict[str, list[str | None]]:
    """The ids of the person's rows in the chatbot's file, by table, where there are any; None for rows without one."""
    with _collected(data, pseudonyms) as connection:
        rows = {
            table.name: [row for (row,) in connection.execute(f"SELECT {table.id} {table.rows}", {"person": person})]
            for table in _tables(connection)
        }
    return {table: ids for table, ids in rows.items() if ids}


def erase_collected(data: DataFolder, pseudonyms: Pseudonyms, person: str) -> None:
    """Delete the person's rows from the chatbot's file, and have it written anew.

    Raises:
        GalileuError: others use the file without a pause; it was written anew, but its write-ahead log still holds what
            was there before. Erasing again goes on.
        InputError: it cannot be read as SQLite.
    """
    with _collected(data, pseudonyms) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        for table in _tables(connection):
            connection.execute(f"DELETE {table.rows}", {"person": person})
        connection.commit()
        connection.execute("VACUUM")
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise GalileuError(
            f"{data.feedback_db} is being read without a pause. Stop the chat for a moment, and try again."
        )


def ingested_rows(connection: duckdb.DuckDBPyConnection, person: str) -> dict[str, list[str]]:
    """The ids of the person's rows in the warehouse, by table; of those in quarantine, their digests."""
    rows: dict[str, list[str]] = {}
    for table, row in connection.execute(sql("select_rows_of_person"), {"person": person}).fetchall():
        rows.setdefault(table, []).append(row)
    return rows


def erase_ingested(connection: duckdb.DuckDBPyConnection, person: str) -> None:
    """Delete the person's rows, and all that is derived from feedback; the next pairing derives it again.

    What an ingestion of this number says is that rows left, so that rows in still are accepted, quarantined or
    duplicates. Follow it with `Warehouse.rewrite`.
    """
    connection.execute("SET VARIABLE person = $person", {"person": person})
    connection.execute(sql("erase_person"))
    connection.execute(sql("forget_derived"))


@contextmanager
def _collected(data: DataFolder, pseudonyms: Pseudonyms) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(data.feedback_db, timeout=_BUSY_TIMEOUT_S)) as connection:
            # Files of older chatbots name people as they are; ours hold pseudonyms, which stay what they are.
            connection.create_function("known", 1, _known, deterministic=True)
            connection.create_function("pseudonym", 1, lambda value: pseudonyms.of(str(value)), deterministic=True)
            yield connection
    except sqlite3.DatabaseError as error:
        raise InputError(f"{data.feedback_db}: {error}. Nothing was erased from it.") from error


def _known(identifier: object) -> str | None:
    return None if identifier is None else known(str(identifier))


@dataclass(frozen=True)
class _Table:
    """A table of the file: its name, SQL for the id of a row, and for the rows of the person `:person`."""

    name: str
    id: str
    rows: str


def _tables(connection: sqlite3.Connection) -> Iterator[_Table]:
    """The tables that have a column for people."""
    for table in TABLES:
        columns = ColumnUse({})
        columns.see(row[1] for row in connection.execute(f'PRAGMA table_info("{table.name}")'))
        named = [f"known({quoted(columns.used[name])})" for name in ("user_id", "session_id") if name in columns.used]
        if named:
            person = f"coalesce({', '.join(named)}, NULL)"
            yield _Table(
                name=table.name,
                id=quoted(columns.used["feedback_id"]) if "feedback_id" in columns.used else "NULL",
                rows=f'FROM "{table.name}" WHERE {person} IS NOT NULL AND pseudonym({person}) = :person',
            )
