"""SQLite files of the guide's shape, and an empty warehouse."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from galileu_pipeline.feedback.warehouse import Warehouse

Row = dict[str, object]

GUIDE_SCHEMA = """
CREATE TABLE feedback (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, session_id TEXT, query TEXT, response TEXT,
    rating INTEGER, thumbs_up BOOLEAN, comment TEXT, source_documents TEXT, metadata TEXT{extra});
CREATE TABLE preference_pairs (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, query TEXT, response_chosen TEXT,
    response_rejected TEXT, reason TEXT, metadata TEXT{extra});
"""


class ChatbotFile:
    """The chatbot's own file, as the guide's collector makes it; `extra` columns as newer ones do."""

    def __init__(self, path: Path, extra: str = ", user_id TEXT, feedback_id TEXT") -> None:
        self.path = path
        with sqlite3.connect(path) as connection:
            connection.executescript(GUIDE_SCHEMA.format(extra=extra))

    def votes(self, *rows: Row) -> None:
        self._insert("feedback", rows)

    def choices(self, *rows: Row) -> None:
        self._insert("preference_pairs", rows)

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        with sqlite3.connect(self.path) as connection:
            for row in rows:
                places = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))


@pytest.fixture
def chatbot(tmp_path: Path) -> ChatbotFile:
    return ChatbotFile(tmp_path / "feedback.db")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "galileu.duckdb")
