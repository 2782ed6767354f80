"""SQLite files of other programs: views, tables without rowid, locks."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from galileu_pipeline.errors import InputError, SourceBusyError
from galileu_pipeline.feedback.ingestion.sources import sqlite_rows
from galileu_pipeline.feedback.ingestion.sources.shapes import VOTES
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import import_file, ingest

pytestmark = pytest.mark.slow

ROWS = "INSERT INTO {table} VALUES ('a', 'q1', 'r1', 5), ('b', 'q2', 'r2', 1)"


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


SHAPES = {
    "a view": (
        "CREATE TABLE votes (id TEXT, q TEXT, r TEXT, nota INTEGER)",
        ROWS.format(table="votes"),
        "CREATE VIEW feedback AS SELECT id AS feedback_id, q AS query, r AS response, nota AS rating FROM votes",
    ),
    "without rowid": (
        "CREATE TABLE feedback (feedback_id TEXT PRIMARY KEY, query, response, rating) WITHOUT ROWID",
        ROWS.format(table="feedback"),
    ),
    "computed columns": (
        "CREATE TABLE feedback (feedback_id, query, r, rating, response AS (r || '')  STORED)",
        "INSERT INTO feedback (feedback_id, query, r, rating) VALUES ('a', 'q1', 'r1', 5), ('b', 'q2', 'r2', 1)",
    ),
    "a column called rowid": (
        'CREATE TABLE feedback (feedback_id, query, response, rating, "rowid" TEXT)',
        "INSERT INTO feedback VALUES ('a', 'q1', 'r1', 5, 'x'), ('b', 'q2', 'r2', 1, NULL)",
    ),
    "a full-text table": (
        "CREATE VIRTUAL TABLE feedback USING fts5(feedback_id, query, response, rating)",
        ROWS.format(table="feedback"),
    ),
    "a name in capitals": (
        'CREATE TABLE "FEEDBACK" (Feedback_Id, Query, Response, Rating)',
        ROWS.format(table="FEEDBACK"),
    ),
}


def test_tables_may_call_a_field_differently(tmp_path: Path, warehouse: Warehouse) -> None:
    path = database(
        tmp_path / "x.db",
        "CREATE TABLE feedback (feedback_id, Query, response, rating, userId, extra)",
        "INSERT INTO feedback VALUES ('a', 'q1', 'r1', 5, 'ana', 'x')",
        "CREATE TABLE preference_pairs (feedback_id, QUERY, response_chosen, response_rejected, user_id)",
        "INSERT INTO preference_pairs VALUES ('b', 'q1', 'r1', 'r2', 'bia')",
    )
    report = import_file(warehouse, path)
    assert report.accepted == 2
    assert ingest(warehouse, path).duplicates == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_every_kind_of_table(shape: str, tmp_path: Path, warehouse: Warehouse) -> None:
    path = database(tmp_path / "x.db", *SHAPES[shape])
    assert import_file(warehouse, path).accepted == 2
    assert import_file(warehouse, path).duplicates == 2
    with warehouse.open() as connection:
        assert connection.execute("SELECT query, rating FROM feedback ORDER BY query").fetchall() == [
            ("q1", 5),
            ("q2", 1),
        ]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_chatbots_own_file_may_have_them_too(shape: str, tmp_path: Path, warehouse: Warehouse) -> None:
    path = database(tmp_path / "feedback.db", *SHAPES[shape])
    assert ingest(warehouse, path).accepted == 2
    assert ingest(warehouse, path).rows == 0


@pytest.mark.parametrize("shape", ["a view", "without rowid"])
def test_changes_are_followed_where_rows_have_no_number_of_their_own(
    shape: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = database(tmp_path / "feedback.db", *SHAPES[shape])
    table, rating, key = ("votes", "nota", "id") if shape == "a view" else ("feedback", "rating", "feedback_id")
    database(path, *(f"INSERT INTO {table} VALUES ('c{number}', 'q', 'r', 3)" for number in range(2_000)))
    assert ingest(warehouse, path).accepted == 2_002
    database(path, f"UPDATE {table} SET {rating} = 1 WHERE {key} = 'a'")
    assert ingest(warehouse, path).replaced == 1
    database(path, f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})")
    report = ingest(warehouse, path)
    assert (report.accepted, report.gone) == (0, 1)
    with warehouse.open() as connection:
        state = connection.execute("SELECT count(*), any_value(rating) FILTER (feedback_id = 'a') FROM feedback")
        assert state.fetchall() == [(2_001, 1)]


def test_a_locked_file_is_called_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_rows, "LOCK_TIMEOUT_S", 0.01)
    path = database(tmp_path / "x.db", *SHAPES["without rowid"])
    source = SqliteFeedback(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceBusyError, match=r"x\.db is locked"):
            SqliteFeedback(path)
        with pytest.raises(SourceBusyError, match=r"x\.db is locked"):
            list(source.batches(VOTES))
        writer.execute("ROLLBACK")
    assert [batch.size for batch in source.batches(VOTES)] == [2]


def test_a_view_of_what_is_gone(tmp_path: Path, warehouse: Warehouse) -> None:
    path = database(tmp_path / "x.db", *SHAPES["a view"], "DROP TABLE votes")
    with pytest.raises(InputError, match=r"x\.db.*votes") as error:
        import_file(warehouse, path)
    assert "backup" not in str(error.value)
