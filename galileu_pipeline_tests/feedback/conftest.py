"""SQLite files of the guide's shape, and an empty warehouse."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from galileu_pipeline.data_folder import PROJECT_ROOT
from galileu_pipeline.database import connect
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.ingestion.ingestor import IngestionReport, Ingestor
from galileu_pipeline.feedback.ingestion.preparation import RowPreparer
from galileu_pipeline.feedback.ingestion.scale import Scale
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.warehouse import Warehouse

Row = dict[str, object]

# Not part of the project; the tests that need them are skipped where they are not beside it.
SHARED_DATA = PROJECT_ROOT.parent / "shared" / "data"
REAL_RATINGS = SHARED_DATA / "feedbackqa_dev.jsonl.gz"
NAUGHTY_STRINGS = SHARED_DATA / "blns.json"
needs_real_ratings = pytest.mark.skipif(
    not REAL_RATINGS.is_file(), reason="the real ratings are not beside the project"
)
needs_naughty_strings = pytest.mark.skipif(
    not NAUGHTY_STRINGS.is_file(), reason="the Big List of Naughty Strings is not beside the project"
)

PSEUDONYMS = Pseudonyms(b"a key for tests" * 3)

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


def preparer(repair: bool = True) -> RowPreparer:
    return RowPreparer(TextCleaner(repair), PSEUDONYMS)


def ingest(warehouse: Warehouse, path: Path) -> IngestionReport:
    """What is new in the chatbot's file."""
    with warehouse.open() as connection:
        return Ingestor(connection, preparer()).sqlite(SqliteFeedback(path))


@cache
def _empty_file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        with Warehouse(path).open():
            pass
        return path.read_bytes()


def empty_warehouse(path: Path) -> Warehouse:
    """A new one at `path`. Copied: to make its tables takes as long as to fill them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_empty_file())
    return Warehouse(path)


def import_file(warehouse: Warehouse, path: Path, scale: str | None = None, **mapping: str) -> IngestionReport:
    with warehouse.open() as connection:
        said = Scale.parse(scale) if scale else None
        return Ingestor(connection, preparer()).file(FeedbackFile.recognise(path), mapping, said)


def side_by_side(number: int, verdict: str, left: str, right: str, **more: object) -> Row:
    """What a person of their own says of two models' answers to a question of its own."""
    return {
        "query": f"Pergunta {number}?",
        "response_left": f"{left} diz isto",
        "response_right": f"{right} diz aquilo",
        "model_left": left,
        "model_right": right,
        "verdict": verdict,
        "user_id": f"pessoa-{number}",
        "feedback_id": f"{number}-{verdict}",
        **more,
    }


@pytest.fixture
def chatbot(tmp_path: Path) -> ChatbotFile:
    return ChatbotFile(tmp_path / "feedback.db")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return empty_warehouse(tmp_path / "galileu.duckdb")


@pytest.fixture(scope="session")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as connection:
        yield connection


@pytest.fixture(scope="module", autouse=True)
def one_engine(engine: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All files are attached to one engine of DuckDB: to start another for each use is a third of what these tests do.

    `test_warehouse.py` and the end-to-end tests open them as users do.
    """
    numbers = count()

    @contextmanager
    def attached(path: str) -> Iterator[duckdb.DuckDBPyConnection]:
        name, quoted = f"warehouse_{next(numbers)}", path.replace("'", "''")
        with engine.cursor() as connection:
            connection.execute(f"ATTACH '{quoted}' AS {name}; USE {name}")
            try:
                yield connection
            finally:
                connection.execute(f"USE memory; DETACH {name}")

    def connected(path: str = "", **settings: Any) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return attached(path) if path else connect(**settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galileu_pipeline.feedback.warehouse.connect", connected)
        yield
