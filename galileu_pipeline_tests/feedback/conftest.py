"""SQLite files of the guide's shape, and empty warehouses."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import duckdb
import pytest

from galileu_pipeline.feedback.warehouse import Warehouse, sql

Row = dict[str, object]

GUIDE_SCHEMA = """
CREATE TABLE feedback (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, session_id TEXT, query TEXT, response TEXT,
    rating INTEGER, thumbs_up BOOLEAN, comment TEXT, source_documents TEXT, metadata TEXT{extra});
CREATE TABLE preference_pairs (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, query TEXT, response_chosen TEXT,
    response_rejected TEXT, reason TEXT, metadata TEXT{extra});
"""


class RawText(bytes):
    """Bytes that SQLite is told are text, whatever they are."""


class ChatbotFile:
    """The chatbot's own file, as the guide's collector makes it; `extra` columns as newer ones do."""

    def __init__(self, path: Path, extra: str = ", user_id TEXT, feedback_id TEXT") -> None:
        self.path = path
        with closing(self.connect()) as connection:
            connection.executescript(GUIDE_SCHEMA.format(extra=extra))

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA synchronous = OFF")  # what is at stake here is not a power cut
        return connection

    def votes(self, *rows: Row) -> None:
        self._insert("feedback", rows)

    def choices(self, *rows: Row) -> None:
        self._insert("preference_pairs", rows)

    def execute(self, statement: str) -> None:
        with closing(self.connect()) as connection, connection:
            connection.execute(statement)

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        with closing(self.connect()) as connection, connection:
            for row in rows:
                marks = ", ".join("CAST(? AS TEXT)" if isinstance(value, RawText) else "?" for value in row.values())
                connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


class Bench:
    """As many chatbot's files and empty warehouses as a property needs. The warehouses are one DuckDB in memory that
    is rolled back each time; a file for each example would take most of the run."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._numbers = count()

    def chatbot(self) -> ChatbotFile:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return ChatbotFile(folder / "feedback.db")

    @contextmanager
    def warehouse(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._connection.begin()
        try:
            self._connection.execute(sql("create_schema"))
            yield self._connection
        finally:
            self._connection.rollback()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with duckdb.connect(config={"enable_external_access": "false", "lock_configuration": "true"}) as connection:
        yield Bench(connection, tmp_path_factory.mktemp("bench"))


@pytest.fixture
def chatbot(tmp_path: Path) -> ChatbotFile:
    return ChatbotFile(tmp_path / "feedback.db")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "galileu.duckdb")
