"""From the chatbot's file into the warehouse: every row accounted for."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.errors import InputError, WarehouseBusyError
from galileu_pipeline.feedback.ingestion.ingestor import IngestionReport, Ingestor, content_digest, ledger
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import ChatbotFile, Row, empty_warehouse, ingest, preparer

GOOD: Row = {"timestamp": "2026-08-03T12:00:00Z", "query": "Quem é você?", "response": "Galileu.", "rating": 5}
CHOICE: Row = {"query": "Quem é você?", "response_chosen": "Galileu.", "response_rejected": "Ninguém."}


def rows(warehouse: Warehouse, statement: str) -> list[Any]:
    with warehouse.open() as connection:
        return connection.execute(statement).fetchall()


def test_a_vote_arrives_typed(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes({**GOOD, "rating": 4, "thumbs_up": 0, "timestamp": "2026-08-03T09:00:00-03:00"})
    assert ingest(warehouse, chatbot.path).accepted == 1
    found = rows(warehouse, "SELECT rating, thumbs_up, score, occurred_at::VARCHAR, source, position FROM feedback")
    assert found == [(4.0, False, 0.75, "2026-08-03 12:00:00", "feedback.db:feedback", 1)]  # the rating wins; UTC


def test_the_guides_own_shape_without_further_columns(tmp_path: Path, warehouse: Warehouse) -> None:
    chatbot = ChatbotFile(tmp_path / "feedback.db", extra="")
    chatbot.votes(GOOD, {**GOOD, "rating": None, "thumbs_up": 1})
    chatbot.choices(CHOICE)
    assert ingest(warehouse, chatbot.path).accepted == 3
    assert rows(warehouse, "SELECT score FROM feedback") == [(1.0,), (1.0,)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"response": ""}, "missing_text"),
        ({"query": None}, "missing_text"),
        ({"response": b"\x00\x01"}, "not_text"),
        ({"rating": 7}, "invalid_rating"),
        ({"rating": "abc"}, "invalid_rating"),
        ({"rating": "nan"}, "no_signal"),
        ({"thumbs_up": "maybe"}, "invalid_thumbs"),
        ({"timestamp": "yesterday"}, "invalid_timestamp"),
        ({"rating": None}, "no_signal"),
        ({"response": "x" * 100_001}, "text_too_long"),
    ],
)
def test_a_bad_row_is_kept_with_its_reason(
    chatbot: ChatbotFile, warehouse: Warehouse, change: Row, reason: str
) -> None:
    chatbot.votes(GOOD, {**GOOD, **change})
    report = ingest(warehouse, chatbot.path)
    assert (report.rows, report.accepted, report.quarantined) == (2, 1, {reason: 1})
    assert rows(warehouse, "SELECT reason, source, position FROM feedback_quarantine") == [
        (reason, "feedback.db:feedback", 2)
    ]


def test_text_that_is_not_utf8_does_not_stop_the_rest(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    with sqlite3.connect(chatbot.path) as connection:
        connection.execute("INSERT INTO feedback (query, response, rating) VALUES ('q', CAST(x'e9ff' AS TEXT), 5)")
    chatbot.votes(GOOD)
    report = ingest(warehouse, chatbot.path)
    assert (report.accepted, report.quarantined) == (1, {"invalid_utf8": 1})


def test_a_choice_between_equal_answers_is_refused(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.choices(CHOICE, {**CHOICE, "response_rejected": " Galileu.\n"})
    assert ingest(warehouse, chatbot.path).quarantined == {"same_responses": 1}


def test_a_vote_with_broken_metadata_is_kept(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes({**GOOD, "metadata": "{not json"})
    assert ingest(warehouse, chatbot.path).accepted == 1
    assert rows(warehouse, "SELECT metadata FROM feedback") == [('"{not json"',)]


def test_only_new_rows_are_read(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(GOOD)
    assert ingest(warehouse, chatbot.path).rows == 1
    assert ingest(warehouse, chatbot.path).rows == 0
    chatbot.votes({**GOOD, "rating": 1})
    assert ingest(warehouse, chatbot.path).rows == 1


def test_what_a_duplicate_is(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    untimed = {**GOOD, "timestamp": None}
    chatbot.votes(GOOD, GOOD)  # without an id, these may be two people
    chatbot.votes(untimed, untimed)
    chatbot.votes({**GOOD, "feedback_id": "a"}, {**GOOD, "feedback_id": "a"})  # one click, sent twice
    report = ingest(warehouse, chatbot.path)
    assert (report.accepted, report.duplicates) == (5, 1)


def test_a_replaced_file_is_read_again_and_known_rows_are_duplicates(
    chatbot: ChatbotFile, warehouse: Warehouse, tmp_path: Path
) -> None:
    chatbot.votes(GOOD, {**GOOD, "rating": 2})
    ingest(warehouse, chatbot.path)
    chatbot.path.unlink()
    replacement = ChatbotFile(tmp_path / "feedback.db")
    replacement.votes({**GOOD, "rating": 3}, {**GOOD, "rating": 4}, GOOD)
    report = ingest(warehouse, replacement.path)
    assert (report.rows, report.accepted, report.duplicates) == (3, 2, 1)


def test_a_failure_leaves_the_warehouse_as_it_was(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(GOOD)

    def fail_halfway() -> None:
        with warehouse.open() as connection:
            Ingestor(connection, preparer()).sqlite(SqliteFeedback(chatbot.path))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert rows(warehouse, "SELECT count(*) FROM feedback") == [(0,)]
    assert ingest(warehouse, chatbot.path).accepted == 1


def test_a_busy_warehouse_says_so(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "x.duckdb.lock"),
        pytest.raises(WarehouseBusyError, match="in use by another process"),
        Warehouse(tmp_path / "x.duckdb", lock_timeout_s=0.1).open(),
    ):
        pass


def test_files_that_are_not_the_chatbots(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no feedback at .*galileu demo"):
        SqliteFeedback(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("this is not a database, whatever its name says" * 30)
    with pytest.raises(InputError, match="cannot be read as SQLite"):
        SqliteFeedback(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "empty.db").close()
    with pytest.raises(InputError, match="neither a table"):
        SqliteFeedback(tmp_path / "empty.db")
    with sqlite3.connect(tmp_path / "odd.db") as connection:
        connection.execute("CREATE TABLE feedback (query TEXT, answer TEXT)")
    with pytest.raises(InputError, match="`feedback` lacks the column response"):
        SqliteFeedback(tmp_path / "odd.db")


VOTE = st.fixed_dictionaries(
    {
        "timestamp": st.sampled_from(["2026-08-03T12:00:00Z", "2026-08-04T12:00:00Z", None, "never"]),
        "query": st.sampled_from(["Quem é você?", "quem é você", "O que é a Lua?", ""]),
        "response": st.sampled_from(["Galileu.", "Não sei.", "  "]),
        "rating": st.sampled_from([1, 3, 5, 9, None]),
    }
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(VOTE, max_size=8), min_size=1, max_size=3))
def test_rows_in_are_accepted_quarantined_or_duplicates(batches: list[list[Row]]) -> None:
    with TemporaryDirectory() as folder:
        chatbot, warehouse = ChatbotFile(Path(folder) / "feedback.db"), empty_warehouse(Path(folder) / "x.duckdb")
        total = IngestionReport()
        for batch in batches:
            chatbot.votes(*batch)
            total += ingest(warehouse, chatbot.path)
        with warehouse.open() as connection:
            counts, piecemeal = ledger(connection), content_digest(connection)
        assert counts["rows_in"] == sum(map(len, batches)) == total.rows
        assert counts["rows_in"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"]
        at_once = empty_warehouse(Path(folder) / "y.duckdb")
        ingest(at_once, chatbot.path)
        with at_once.open() as connection:
            assert content_digest(connection) == piecemeal
