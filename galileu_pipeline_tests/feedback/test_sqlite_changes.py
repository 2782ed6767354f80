"""The chatbot's file as it changes: rows added, updated, deleted, put elsewhere, and whole files replaced."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.ingestion.changes import feedback_state
from galileu_pipeline.feedback.ingestion.ingestor import IngestionReport, content_digest, ledger
from galileu_pipeline.feedback.pairing.pairs import PairingSettings, build_pairs, preference_pairs
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import ChatbotFile, Row, empty_warehouse, import_file, ingest
from galileu_pipeline_tests.feedback.test_imports import found

pytestmark = pytest.mark.slow

GOOD: Row = {"timestamp": "2026-08-03T12:00:00Z", "query": "Quem é você?", "response": "Galileu.", "rating": 5}


def change(chatbot: ChatbotFile, *statements: str) -> None:
    with sqlite3.connect(chatbot.path) as connection:
        for statement in statements:
            connection.execute(statement)


def many(count: int, **more: Any) -> list[Row]:
    return [{**GOOD, "query": f"Pergunta {number}?", **more} for number in range(count)]


def ratings(warehouse: Warehouse) -> list[float]:
    return [rating for (rating,) in found(warehouse, "SELECT rating FROM feedback ORDER BY query, rating")]


def accounted(warehouse: Warehouse) -> bool:
    with warehouse.open() as connection:
        counts = ledger(connection)
    return counts["rows_in"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"]


@pytest.mark.parametrize(
    "identity", [{}, {"feedback_id": "a"}, {"user_id": "ana"}, {"feedback_id": "a", "user_id": "ana"}]
)
@pytest.mark.parametrize(
    "update",
    [
        "UPDATE feedback SET rating = 1 WHERE id = 1",
        "UPDATE feedback SET rating = 1, timestamp = '2026-08-04T12:00:00Z' WHERE id = 1",
        "UPDATE feedback SET rating = 1, timestamp = '2026-08-01T12:00:00Z' WHERE id = 1",
        "UPDATE feedback SET rating = 1, timestamp = NULL WHERE id = 1",
        "UPDATE feedback SET rating = 1, response = 'Sou Galileu.' WHERE id = 1",
        "UPDATE feedback SET rating = 1, query = 'Outra?', comment = 'mudei' WHERE id = 1",
        "UPDATE feedback SET rating = 1, user_id = 'bia' WHERE id = 1",
    ],
)
def test_an_updated_row_stands_as_it_is_now(
    identity: Row, update: str, chatbot: ChatbotFile, warehouse: Warehouse
) -> None:
    chatbot.votes({**GOOD, **identity}, {**GOOD, "query": "Pergunta?", "rating": 3}, {**GOOD, "query": "Z?"})
    ingest(warehouse, chatbot.path)
    change(chatbot, update)
    report = ingest(warehouse, chatbot.path)
    assert (report.rows, report.accepted, report.replaced + report.gone) == (1, 1, 1)
    assert sorted(ratings(warehouse)) == [1, 3, 5]
    assert found(warehouse, "SELECT state ->> '$.rating' FROM feedback_history") == [("5.0",)]
    assert ingest(warehouse, chatbot.path) == IngestionReport()
    assert accounted(warehouse)


def test_a_lone_row_without_an_id_is_updated(tmp_path: Path, warehouse: Warehouse) -> None:
    chatbot = ChatbotFile(tmp_path / "feedback.db", extra="")  # the guide's own shape
    chatbot.votes(GOOD)
    for rating in (1, 4, 1, 5):
        ingest(warehouse, chatbot.path)
        change(chatbot, f"UPDATE feedback SET rating = {rating}")
        ingest(warehouse, chatbot.path)
        assert ratings(warehouse) == [rating]
    assert accounted(warehouse)


def test_back_and_forth_ends_where_it_ends(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes({**GOOD, "feedback_id": "a"})
    for rating in (3, 5, 1, 5, 3):
        change(chatbot, f"UPDATE feedback SET rating = {rating}")
        ingest(warehouse, chatbot.path)
        assert ratings(warehouse) == [rating]


def keyed_by_id(path: Path, *rows: Row) -> Path:
    """A chatbot whose votes have their id as the key, and get another rowid with each `INSERT OR REPLACE`."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS feedback"
            " (feedback_id TEXT PRIMARY KEY, query, response, rating, timestamp, user_id)"
        )
        for row in rows:
            places = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT OR REPLACE INTO feedback ({', '.join(row)}) VALUES ({places})", tuple(row.values())
            )
    return path


@pytest.mark.parametrize("time", ["2026-08-03T12:00:00Z", "2026-08-01T12:00:00Z", "2026-08-04T12:00:00Z", None])
def test_a_replaced_row_stands_as_it_is_now(time: str | None, tmp_path: Path, warehouse: Warehouse) -> None:
    path = keyed_by_id(
        tmp_path / "feedback.db", {**GOOD, "feedback_id": "a"}, {**GOOD, "feedback_id": "b", "query": "Z?"}
    )
    ingest(warehouse, path)
    for rating in (1, 5, 1, 3):
        keyed_by_id(path, {**GOOD, "feedback_id": "a", "rating": rating, "timestamp": time})
        ingest(warehouse, path)
        assert ratings(warehouse) == [rating, 5]
        assert accounted(warehouse)
    keyed_by_id(path, {**GOOD, "feedback_id": "a", "rating": 3, "timestamp": time})  # again, at another place
    assert ingest(warehouse, path).replaced == 0
    assert ratings(warehouse) == [3, 5]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM feedback WHERE feedback_id = 'a'")
    assert ingest(warehouse, path).gone == 1
    assert ratings(warehouse) == [5]


def test_a_replaced_row_stands_also_where_another_took_its_place(tmp_path: Path, warehouse: Warehouse) -> None:
    path = keyed_by_id(tmp_path / "feedback.db", *({**GOOD, "feedback_id": name, "query": name} for name in "abc"))
    ingest(warehouse, path)
    for rating in (1, 5):
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM feedback WHERE feedback_id IN ('b', 'c')")
        keyed_by_id(
            path,
            {**GOOD, "feedback_id": f"d{rating}", "query": "z", "rating": 3},
            *({**GOOD, "feedback_id": name, "query": name, "rating": rating} for name in "cb"),
        )
        ingest(warehouse, path)
        assert found(warehouse, "SELECT rating FROM feedback WHERE query IN ('b', 'c')") == [(rating,)] * 2


def test_older_states_in_a_file_in_place_of_another_replace_nothing(tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [{**GOOD, "feedback_id": f"x{number}", "query": f"{number}?"} for number in range(10)]
    path = keyed_by_id(tmp_path / "feedback.db", *rows)
    ingest(warehouse, path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM feedback")
    older = [{**row, "rating": 1, "timestamp": "2026-08-01T12:00:00Z"} for row in rows[:3]]
    keyed_by_id(path, *({**GOOD, "feedback_id": f"y{number}", "query": "outra"} for number in range(3)), *older)
    report = ingest(warehouse, path)
    assert (report.replaced, report.gone) == (0, 0)
    assert found(warehouse, "SELECT DISTINCT rating FROM feedback") == [(5,)]


@pytest.mark.parametrize("where", ["id = 1", "id = 2", "id = 5", "id IN (1, 3, 5)", "TRUE"])
def test_a_deleted_row_no_longer_counts(where: str, chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(*many(5))
    ingest(warehouse, chatbot.path)
    change(chatbot, f"DELETE FROM feedback WHERE {where}")
    report = ingest(warehouse, chatbot.path)
    with sqlite3.connect(chatbot.path) as connection:
        left = connection.execute("SELECT count(*) FROM feedback").fetchone()[0]
    assert (report.rows, report.gone) == (0, 5 - left)
    assert found(warehouse, "SELECT count(*) FROM feedback") == [(left,)]
    assert found(warehouse, "SELECT count(*), min(cause) FROM feedback_history") == [(5 - left, "gone")]
    assert accounted(warehouse)


def test_a_deleted_row_that_comes_back_counts_again(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(*({**GOOD, "feedback_id": name, "query": name} for name in "abc"))
    ingest(warehouse, chatbot.path)
    change(chatbot, "DELETE FROM feedback WHERE id = 2")
    ingest(warehouse, chatbot.path)
    chatbot.votes({**GOOD, "feedback_id": "b", "query": "b"})
    assert ingest(warehouse, chatbot.path).accepted == 1
    assert len(ratings(warehouse)) == 3


def test_pairs_follow_updates_and_deletions(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    def sides() -> list[tuple[str, str]]:
        ingest(warehouse, chatbot.path)
        with warehouse.open() as connection:
            build_pairs(connection, PairingSettings(max_person_share=None))
            return [(row["chosen"], row["rejected"]) for row in preference_pairs(connection).read_all().to_pylist()]

    chatbot.votes({**GOOD, "response": "a"}, {**GOOD, "response": "b", "rating": 2})
    chatbot.choices({"query": "q", "response_chosen": "c", "response_rejected": "d"})
    assert sides() == [("c", "d"), ("a", "b")]
    change(chatbot, "UPDATE feedback SET rating = 1 WHERE response = 'a'")
    assert sides() == [("c", "d"), ("b", "a")]
    change(chatbot, "DELETE FROM feedback WHERE response = 'a'", "DELETE FROM preference_pairs")
    assert sides() == []


def test_a_row_that_is_mended_is_taken(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes({**GOOD, "rating": 9})
    assert ingest(warehouse, chatbot.path).refused == 1
    change(chatbot, "UPDATE feedback SET rating = 4")
    assert ingest(warehouse, chatbot.path).accepted == 1
    assert ratings(warehouse) == [4]


def test_a_row_that_was_made_bad_no_longer_counts(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(*many(3))
    ingest(warehouse, chatbot.path)
    change(chatbot, "UPDATE feedback SET rating = 9 WHERE id = 2")
    report = ingest(warehouse, chatbot.path)
    assert (report.refused, report.gone, len(ratings(warehouse))) == (1, 1, 2)


@pytest.mark.parametrize("count", [1, 3, 2_500])
def test_a_file_in_place_of_another_deletes_nothing(count: int, chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    """As when the chatbot begins a new file each month."""
    chatbot.votes(*many(2))
    ingest(warehouse, chatbot.path)
    chatbot.path.unlink()
    ChatbotFile(chatbot.path).votes(*many(count, response="Outra resposta.", rating=1))
    report = ingest(warehouse, chatbot.path)
    assert (report.accepted, report.gone) == (count, 0)
    assert found(warehouse, "SELECT count(*) FROM feedback") == [(count + 2,)]


def test_an_empty_file_in_place_of_another_deletes_nothing(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(*many(3))
    ingest(warehouse, chatbot.path)
    chatbot.path.unlink()
    ChatbotFile(chatbot.path)
    assert ingest(warehouse, chatbot.path).gone == 0
    assert len(ratings(warehouse)) == 3


def test_an_older_copy_of_the_file_is_no_news(chatbot: ChatbotFile, warehouse: Warehouse, tmp_path: Path) -> None:
    chatbot.votes(*many(3))
    backup = chatbot.path.read_bytes()
    chatbot.votes(*({**GOOD, "response": "nova"} for _ in range(2)))
    ingest(warehouse, chatbot.path)
    chatbot.path.write_bytes(backup)
    assert ingest(warehouse, chatbot.path).gone == 0  # the count of rowids says that it is another file
    assert len(ratings(warehouse)) == 5


def test_rows_under_other_rowids_are_the_same_rows(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "feedback.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE feedback (query, response, rating, timestamp, feedback_id)")
        for number in range(6):
            values = (f"q{number % 3}", "r", 5, "2026-08-03", None if number % 2 else str(number))
            connection.execute("INSERT INTO feedback VALUES (?, ?, ?, ?, ?)", values)
    ingest(warehouse, path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE new AS SELECT * FROM feedback ORDER BY rowid DESC")
        connection.execute("DROP TABLE feedback")
        connection.execute("ALTER TABLE new RENAME TO feedback")
    report = ingest(warehouse, path)
    assert (report.accepted, report.duplicates, report.gone) == (0, 6, 0)
    assert len(ratings(warehouse)) == 6


def test_what_was_imported_before_follows_the_chatbots_file(
    chatbot: ChatbotFile, warehouse: Warehouse, tmp_path: Path
) -> None:
    chatbot.votes(GOOD, GOOD, {**GOOD, "feedback_id": "a", "query": "q"})
    import_file(warehouse, chatbot.path)
    assert ingest(warehouse, chatbot.path).duplicates == 3
    chatbot.votes(GOOD)
    assert ingest(warehouse, chatbot.path).accepted == 1
    change(chatbot, "DELETE FROM feedback WHERE id = 1", "UPDATE feedback SET rating = 1 WHERE feedback_id = 'a'")
    ingest(warehouse, chatbot.path)
    assert ratings(warehouse) == [5, 5, 1]


def test_blocks_that_stay_are_not_read_again(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(*many(3_000), *({**row, "id": 10**12 + 7 * number} for number, row in enumerate(many(500))))
    change(chatbot, "UPDATE feedback SET id = -id WHERE id <= 10")
    assert ingest(warehouse, chatbot.path).accepted == 3_500
    change(
        chatbot,
        "UPDATE feedback SET comment = 'mudei' WHERE id IN (-5, 700, 2500)",
        "DELETE FROM feedback WHERE id = 1500",
    )
    report = ingest(warehouse, chatbot.path)
    assert (report.rows, report.accepted, report.gone) == (3, 3, 1 + 3)  # without ids, an update is one row for another
    assert ingest(warehouse, chatbot.path) == IngestionReport()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO feedback (query, response, rating) VALUES ('q', 'r', 4)",
        "UPDATE feedback SET rating = 1",
        "DELETE FROM feedback",
    ],
)
def test_the_sensor_sees_every_kind_of_change(statement: str, tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    data.feedback_db.parent.mkdir(parents=True)
    chatbot = ChatbotFile(data.feedback_db)
    chatbot.votes(*many(3))
    before = feedback_state(data)
    assert feedback_state(data) == before
    change(chatbot, statement)
    assert feedback_state(data) != before


STEP = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 2), st.integers(1, 5), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("update"), st.integers(1, 6), st.integers(1, 5), st.none()),
    st.tuples(st.just("delete"), st.integers(1, 6), st.none(), st.none()),
)


@settings(max_examples=15, deadline=None)
@given(rounds=st.lists(st.lists(STEP, max_size=4), min_size=2, max_size=4))
def test_what_follows_the_file_is_what_is_read_at_once(rounds: list[list[Any]]) -> None:
    with TemporaryDirectory() as folder:
        chatbot, followed = ChatbotFile(Path(folder) / "feedback.db"), empty_warehouse(Path(folder) / "x.duckdb")
        chatbot.votes({**GOOD, "query": "fica", "feedback_id": "always"})  # so that it is the same file
        ids = 0
        for steps in rounds:
            for kind, number, rating, _user in steps:
                if kind == "insert":
                    ids += 1
                    chatbot.votes(
                        {**GOOD, "query": f"q{number}", "rating": rating, "feedback_id": str(ids) if ids % 2 else None}
                    )
                elif kind == "update":
                    change(chatbot, f"UPDATE feedback SET rating = {rating} WHERE id = {number + 1}")
                else:
                    change(chatbot, f"DELETE FROM feedback WHERE id = {number + 1}")
            ingest(followed, chatbot.path)
        at_once = empty_warehouse(Path(folder) / "y.duckdb")
        ingest(at_once, chatbot.path)
        assert accounted(followed)
        with followed.open() as one, at_once.open() as other:
            assert content_digest(one) == content_digest(other)
