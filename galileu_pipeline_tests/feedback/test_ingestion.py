"""From the chatbot's file into the warehouse: every row accounted for."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.errors import InputError, WarehouseBusyError
from galileu_pipeline.feedback import ingestion
from galileu_pipeline.feedback.cleaning import TextCleaner
from galileu_pipeline.feedback.ingestion import IngestionReport, content_digest, ingest_sqlite, ledger
from galileu_pipeline.feedback.sqlite_source import SqliteFeedback
from galileu_pipeline.feedback.validation import Reason
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import Bench, ChatbotFile, RawText, Row

GOOD: Row = {"timestamp": "2026-08-03T12:00:00Z", "query": "Quem é você?", "response": "Galileu.", "rating": 5}
CHOICE: Row = {"query": "Quem é você?", "response_chosen": "Galileu.", "response_rejected": "Ninguém."}
NOT_UTF8 = RawText(b"caf\xe9")


def ingest(warehouse: Warehouse, path: Path, repair: bool = True) -> IngestionReport:
    with warehouse.open() as connection:
        return ingest_sqlite(connection, SqliteFeedback(path), TextCleaner(repair))


def rows(warehouse: Warehouse, statement: str) -> list[Any]:
    with warehouse.open() as connection:
        return connection.execute(statement).fetchall()


# Shapes of the file


@pytest.mark.parametrize("extra", ["", ", user_id TEXT, feedback_id TEXT", ", colour TEXT, rowid_of_mine INTEGER"])
def test_the_guides_shape_with_and_without_further_columns(tmp_path: Path, warehouse: Warehouse, extra: str) -> None:
    chatbot = ChatbotFile(tmp_path / "feedback.db", extra)
    chatbot.votes(GOOD, {**GOOD, "rating": None, "thumbs_up": 1})
    chatbot.choices(CHOICE)
    assert ingest(warehouse, chatbot.path).accepted == 3
    assert rows(warehouse, "SELECT score FROM feedback") == [(1.0,), (1.0,)]


def test_all_that_a_row_says_arrives(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    further: Row = {"user_id": "ana", "feedback_id": "f1", "metadata": '{"lang": "pt"}'}
    opinion: Row = {"session_id": "s1", "rating": 4, "thumbs_up": 0, "comment": " boa ", "source_documents": "[1, 2]"}
    chatbot.votes({**GOOD, **further, **opinion})
    chatbot.choices({**CHOICE, **further, "reason": "mais clara"})
    assert ingest(warehouse, chatbot.path).accepted == 2
    assert rows(
        warehouse,
        "SELECT feedback_id, source, position, session_id, user_id, query, query_key, response, rating, thumbs_up, "
        "score, comment, source_documents, metadata, repaired FROM feedback",
    ) == [
        ("f1", "feedback.db:feedback", 1, "s1", "ana", "Quem é você?", "quem é você", "Galileu.", 4.0, False)
        + (0.75, "boa", "[1, 2]", '{"lang": "pt"}', True)  # the rating wins over the thumb
    ]
    assert rows(
        warehouse,
        "SELECT feedback_id, source, position, user_id, query, query_key, chosen, rejected, reason, metadata, "
        "repaired FROM feedback_choices",
    ) == [
        ("f1", "feedback.db:preference_pairs", 1, "ana", "Quem é você?", "quem é você", "Galileu.", "Ninguém.")
        + ("mais clara", '{"lang": "pt"}', False)
    ]


@pytest.mark.parametrize(("gone", "left"), [("feedback", "feedback_choices"), ("preference_pairs", "feedback")])
def test_one_of_the_two_tables_is_enough(chatbot: ChatbotFile, warehouse: Warehouse, gone: str, left: str) -> None:
    chatbot.votes(GOOD)
    chatbot.choices(CHOICE)
    chatbot.execute(f"DROP TABLE {gone}")
    assert ingest(warehouse, chatbot.path).accepted == 1
    assert rows(warehouse, f"SELECT query_key FROM {left}") == [("quem é você",)]


def test_files_that_are_not_the_chatbots(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no feedback at .*none\.db.*galileu demo"):
        SqliteFeedback(tmp_path / "none.db")
    with pytest.raises(InputError, match="no feedback at"):
        SqliteFeedback(tmp_path)
    (tmp_path / "text.db").write_text("this is not a database, whatever its name says" * 30)
    with pytest.raises(InputError, match=r"text\.db cannot be read as SQLite"):
        SqliteFeedback(tmp_path / "text.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError, match=r"empty\.db has neither a table"):
        SqliteFeedback(tmp_path / "empty.db")


@pytest.mark.parametrize(
    ("table", "column"), [("feedback", "response"), ("feedback", "query"), ("preference_pairs", "response_rejected")]
)
def test_a_table_without_a_column_it_must_have(chatbot: ChatbotFile, table: str, column: str) -> None:
    chatbot.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    with pytest.raises(InputError, match=rf"feedback\.db: table `{table}` lacks the column {column}\."):
        SqliteFeedback(chatbot.path)


def test_a_chatbot_at_work_is_read_and_left_alone(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.execute("PRAGMA journal_mode = WAL")
    with closing(chatbot.connect()) as writer:
        insert = "INSERT INTO feedback (query, response, rating) VALUES (?, ?, ?)"
        writer.execute(insert, ("q", "said", 5))
        writer.commit()  # into the write-ahead log; the file itself does not hold it yet
        writer.execute(insert, ("q", "not yet said", 5))
        assert ingest(warehouse, chatbot.path).rows_in == 1
        writer.commit()
        assert ingest(warehouse, chatbot.path).rows_in == 1


def test_the_file_is_never_written(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(GOOD, {**GOOD, "rating": 9})
    before = chatbot.path.read_bytes()
    ingest(warehouse, chatbot.path)
    assert chatbot.path.read_bytes() == before
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        SqliteFeedback(chatbot.path)._connect().execute("DELETE FROM feedback")


# What is accepted, and as what


@pytest.mark.parametrize(
    ("given_as", "means"),
    [
        ("2026-08-03T09:00:00-03:00", "2026-08-03 12:00:00"),
        ("2026-08-03 12:00:00", "2026-08-03 12:00:00"),  # as SQLite's CURRENT_TIMESTAMP says it: UTC
        ("2026-08-03T12:00:00.250Z", "2026-08-03 12:00:00.25"),
        ("", None),
        (None, None),
    ],
)
def test_times_are_kept_in_utc(bench: Bench, given_as: str | None, means: str | None) -> None:
    assert accepted(bench, {**GOOD, "timestamp": given_as}, "occurred_at::VARCHAR") == [(means,)]


def test_seconds_since_1970_are_a_time_too(tmp_path: Path, warehouse: Warehouse) -> None:
    with closing(sqlite3.connect(tmp_path / "feedback.db")) as connection, connection:
        connection.execute("CREATE TABLE feedback (timestamp REAL, query TEXT, response TEXT, rating INTEGER)")
        connection.execute("INSERT INTO feedback VALUES (1785758400, 'q', 'r', 5)")
    assert ingest(warehouse, tmp_path / "feedback.db").accepted == 1
    assert rows(warehouse, "SELECT occurred_at::VARCHAR FROM feedback") == [("2026-08-03 12:00:00",)]


@pytest.mark.parametrize(
    ("rating", "thumbs_up", "score"),
    [
        (1, None, 0.0),
        (5, None, 1.0),
        ("4", "", 0.75),
        (2.5, None, 0.375),
        (None, 1, 1.0),
        ("", 0, 0.0),
        (None, "true", 1.0),
        (None, "Down", 0.0),
        (2, 1, 0.25),
        (None, None, None),
    ],
)
def test_scores(bench: Bench, rating: object, thumbs_up: object, score: object) -> None:
    vote = {**GOOD, "rating": rating, "thumbs_up": thumbs_up, "comment": "c"}
    assert accepted(bench, vote, "score") == [(score,)]


@pytest.mark.parametrize(
    ("change", "column", "kept_as"),
    [
        ({"metadata": "{not json"}, "metadata", "{not json"),
        ({"source_documents": NOT_UTF8}, "source_documents", "caf\udce9"),
        ({"metadata": 7}, "metadata", 7),
    ],
)
def test_a_good_vote_is_not_lost_over_a_broken_note(bench: Bench, change: Row, column: str, kept_as: object) -> None:
    ((kept,),) = accepted(bench, {**GOOD, **change}, column)
    assert json.loads(kept) == kept_as


@pytest.mark.parametrize("column", ["feedback_id", "user_id", "session_id", "metadata", "source_documents", "comment"])
@pytest.mark.parametrize("value", [NOT_UTF8, RawText(b'{"a": "caf\xe9"}'), b"\x00\xff", "\x00", "x" * 70_000])
def test_no_value_of_a_row_stops_the_others(bench: Bench, column: str, value: object) -> None:
    chatbot = bench.chatbot()
    chatbot.votes({**GOOD, column: value}, {**GOOD, "rating": 1})
    with bench.warehouse() as connection:
        report = ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner())
    assert report.rows_in == report.accepted + report.quarantined == 2
    assert report.accepted >= 1


def test_repair_is_noted_and_can_be_left_off(chatbot: ChatbotFile, warehouse: Warehouse, tmp_path: Path) -> None:
    damaged = "não".encode().decode("latin-1")
    chatbot.votes(GOOD, {**GOOD, "response": damaged}, {**GOOD, "response": "fim "}, {**GOOD, "response": "sem\x00"})
    assert ingest(warehouse, chatbot.path).accepted == 4
    assert sorted(rows(warehouse, "SELECT response, repaired FROM feedback")) == [
        ("Galileu.", False),
        ("fim", True),
        ("não", True),
        ("sem", True),
    ]
    raw = Warehouse(tmp_path / "raw.duckdb")
    ingest(raw, chatbot.path, repair=False)
    assert {(key,) for key in ("Galileu.", damaged, "fim ", "sem\x00")} == set(rows(raw, "SELECT response FROM feedback"))
    assert rows(raw, "SELECT DISTINCT query_key, repaired FROM feedback") == [("Quem é você?", False)]


@pytest.mark.parametrize("repair", [True, False])
def test_an_empty_comment_is_no_repair(bench: Bench, repair: bool) -> None:
    assert accepted(bench, {**GOOD, "comment": ""}, "comment, repaired", repair) == [(None, False)]


def accepted(bench: Bench, vote: Row, columns: str, repair: bool = True) -> list[tuple[Any, ...]]:
    """What the warehouse holds of a vote that passes."""
    chatbot = bench.chatbot()
    chatbot.votes(vote)
    with bench.warehouse() as connection:
        assert ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner(repair)).accepted == 1
        return connection.execute(f"SELECT {columns} FROM feedback").fetchall()


# What is refused, and why

REFUSED_VOTES: list[tuple[Row, Reason, str]] = [
    ({"response": ""}, Reason.MISSING_TEXT, "response is empty"),
    ({"query": None}, Reason.MISSING_TEXT, "query is empty"),
    ({"query": " \n\xa0"}, Reason.MISSING_TEXT, "query is empty"),
    ({"response": b"\x00\x01"}, Reason.NOT_TEXT, "response is bytes"),
    ({"comment": b"\x00\x01"}, Reason.NOT_TEXT, "comment is bytes"),
    ({"response": NOT_UTF8}, Reason.INVALID_UTF8, "response is not valid"),
    ({"comment": NOT_UTF8}, Reason.INVALID_UTF8, "comment is not valid"),
    ({"response": "x" * 100_001}, Reason.TEXT_TOO_LONG, "response has 100,001 characters"),
    ({"rating": 7}, Reason.INVALID_RATING, "rating is 7"),
    ({"rating": 0}, Reason.INVALID_RATING, "rating is 0"),
    ({"rating": 5.01}, Reason.INVALID_RATING, "rating is 5.01"),
    ({"rating": "abc"}, Reason.INVALID_RATING, "rating is 'abc'"),
    ({"rating": "nan"}, Reason.INVALID_RATING, "rating is 'nan'"),
    ({"rating": float("inf")}, Reason.INVALID_RATING, "rating is inf"),
    ({"rating": NOT_UTF8}, Reason.INVALID_RATING, "rating is 'caf"),
    ({"thumbs_up": "maybe"}, Reason.INVALID_THUMBS, "thumbs_up is 'maybe'"),
    ({"thumbs_up": 2}, Reason.INVALID_THUMBS, "thumbs_up is 2"),
    ({"timestamp": "yesterday"}, Reason.INVALID_TIMESTAMP, "timestamp is 'yesterday'"),
    ({"timestamp": "2026-02-30T00:00:00Z"}, Reason.INVALID_TIMESTAMP, "timestamp is '2026-02-30"),
    ({"timestamp": "0001-01-01T00:00:00+14:00"}, Reason.INVALID_TIMESTAMP, "timestamp is '0001"),
    ({"timestamp": b"2026"}, Reason.INVALID_TIMESTAMP, "timestamp is b'2026'"),
    ({"rating": None}, Reason.NO_SIGNAL, "no rating"),
    ({"rating": "", "thumbs_up": "", "comment": "  "}, Reason.NO_SIGNAL, "no rating"),
]
REFUSED_CHOICES: list[tuple[Row, Reason, str]] = [
    ({"response_rejected": "Galileu."}, Reason.SAME_RESPONSES, "are the same text"),
    ({"response_rejected": " Galileu.\n"}, Reason.SAME_RESPONSES, "are the same text"),  # once cleaned
    ({"response_chosen": ""}, Reason.MISSING_TEXT, "response_chosen is empty"),
    ({"reason": NOT_UTF8}, Reason.INVALID_UTF8, "reason is not valid"),
]


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason, _ in REFUSED_VOTES + REFUSED_CHOICES} == set(Reason)


@pytest.mark.parametrize(("change", "reason", "detail"), REFUSED_VOTES)
def test_a_bad_vote_is_kept_with_its_reason(bench: Bench, change: Row, reason: Reason, detail: str) -> None:
    chatbot = bench.chatbot()
    chatbot.votes(GOOD, {**GOOD, **change}, {**GOOD, "rating": 1})
    found = quarantined(bench, chatbot, accepted=2)
    assert (found["reason"], found["source"], found["position"]) == (reason.value, "feedback.db:feedback", 2)
    assert found["detail"].startswith(detail)
    assert json.loads(found["raw"]).items() >= {
        name: value for name, value in {**GOOD, **change}.items() if not isinstance(value, bytes)
    }.items()


@pytest.mark.parametrize(("change", "reason", "detail"), REFUSED_CHOICES)
def test_a_bad_choice_is_kept_with_its_reason(bench: Bench, change: Row, reason: Reason, detail: str) -> None:
    chatbot = bench.chatbot()
    chatbot.choices({**CHOICE, **change}, CHOICE)
    found = quarantined(bench, chatbot, accepted=1)
    assert (found["reason"], found["source"], found["position"]) == (reason.value, "feedback.db:preference_pairs", 1)
    assert detail in found["detail"]


def quarantined(bench: Bench, chatbot: ChatbotFile, accepted: int) -> dict[str, Any]:
    """The one row in quarantine, after a check of what the report says of it."""
    with bench.warehouse() as connection:
        report = ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner())
        (found,) = connection.sql("FROM feedback_quarantine").to_arrow_table().to_pylist()
    assert (report.accepted, report.quarantined, report.duplicates) == (accepted, 1, 0)
    assert report.reasons == {found["reason"]: 1}
    return dict(found)


# Again and again


def test_only_new_rows_are_read(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(GOOD, {**GOOD, "rating": 9})
    chatbot.choices(CHOICE)
    assert ingest(warehouse, chatbot.path).rows_in == 3
    assert ingest(warehouse, chatbot.path) == IngestionReport()
    chatbot.votes({**GOOD, "rating": 1})
    assert ingest(warehouse, chatbot.path) == IngestionReport(rows_in=1, accepted=1)
    chatbot.choices(CHOICE)
    assert ingest(warehouse, chatbot.path) == IngestionReport(rows_in=1, accepted=1)


def test_what_a_duplicate_is(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    untimed = {**GOOD, "timestamp": None}
    chatbot.votes(GOOD, GOOD)  # one click, sent twice
    chatbot.votes(untimed, untimed)  # may be two people
    chatbot.votes({**GOOD, "feedback_id": "a"}, {**GOOD, "feedback_id": "a", "rating": 1})
    chatbot.choices({**CHOICE, "feedback_id": "a"})  # ids are each table's own
    report = ingest(warehouse, chatbot.path)
    assert (report.accepted, report.duplicates) == (5, 2)
    assert rows(warehouse, "SELECT rating FROM feedback WHERE feedback_id = 'a'") == [(5.0,)]  # the first one stays
    chatbot.votes(GOOD, untimed, {**GOOD, "feedback_id": "a", "rating": 3})
    report = ingest(warehouse, chatbot.path)
    assert (report.accepted, report.duplicates) == (1, 2)


def test_a_replaced_file_is_read_again_and_known_rows_are_duplicates(
    chatbot: ChatbotFile, warehouse: Warehouse, tmp_path: Path
) -> None:
    bad = {**GOOD, "rating": 9}
    chatbot.votes(bad, GOOD, {**GOOD, "rating": 2})
    ingest(warehouse, chatbot.path)
    chatbot.path.unlink()
    replacement = ChatbotFile(tmp_path / "feedback.db")
    replacement.votes(bad, {**GOOD, "rating": 3}, {**GOOD, "rating": 4}, GOOD)
    assert ingest(warehouse, replacement.path) == IngestionReport(rows_in=4, accepted=2, duplicates=2)
    assert ingest(warehouse, replacement.path) == IngestionReport()


def test_a_file_whose_last_row_is_gone_is_read_again(chatbot: ChatbotFile, warehouse: Warehouse) -> None:
    chatbot.votes(GOOD, {**GOOD, "rating": 2})
    ingest(warehouse, chatbot.path)
    chatbot.execute("DELETE FROM feedback WHERE rating = 2")
    assert ingest(warehouse, chatbot.path) == IngestionReport(rows_in=1, duplicates=1)
    chatbot.votes({**GOOD, "rating": 3})
    assert ingest(warehouse, chatbot.path) == IngestionReport(rows_in=1, accepted=1)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_warehouse_as_it_was(
    chatbot: ChatbotFile, warehouse: Warehouse, failure: type[BaseException]
) -> None:
    def state() -> tuple[dict[str, int], str]:
        with warehouse.open() as connection:
            return ledger(connection), content_digest(connection)

    def fail_halfway() -> None:
        with warehouse.open() as connection:
            assert ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner()).rows_in == 2
            raise failure

    chatbot.votes(GOOD)
    ingest(warehouse, chatbot.path)
    before = state()
    chatbot.votes({**GOOD, "rating": 1}, {**GOOD, "rating": 9})
    with pytest.raises(failure):
        fail_halfway()
    assert state() == before
    assert ingest(warehouse, chatbot.path) == IngestionReport(
        rows_in=2, accepted=1, quarantined=1, reasons={"invalid_rating": 1}
    )


def test_a_busy_warehouse_says_so(tmp_path: Path) -> None:
    busy = Warehouse(tmp_path / "x.duckdb", lock_timeout_s=0.1)
    with (
        FileLock(tmp_path / "x.duckdb.lock"),
        pytest.raises(WarehouseBusyError, match=r"x\.duckdb was in use by another process"),
        busy.open(),
    ):
        pass
    with busy.open() as connection:
        assert ledger(connection)["rows_in"] == 0


def test_sql_in_the_warehouse_reaches_no_other_file(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with warehouse.open() as connection, pytest.raises(duckdb.PermissionException):
        connection.execute(f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')")
    with warehouse.open() as connection, pytest.raises(duckdb.InvalidInputException, match="locked"):
        connection.execute("SET enable_external_access = true")


# Properties

GOOD_VOTE: st.SearchStrategy[Row] = st.fixed_dictionaries(
    {
        "feedback_id": st.sampled_from([None, None, "a", "b"]),
        "timestamp": st.sampled_from(["2026-08-03T12:00:00Z", "2026-08-04T12:00:00Z", None]),
        "query": st.sampled_from(["Quem é você?", "quem é você", "O que é a Lua?"]),
        "response": st.sampled_from(["Galileu.", "Não sei."]),
        "rating": st.sampled_from([1, 5]),
    }
)
FAULTS: list[Row] = [{"timestamp": "never"}, {"query": ""}, {"response": "  "}, {"rating": 9}, {"rating": None}]
BAD_VOTE = st.builds(lambda row, fault: {**row, **fault}, GOOD_VOTE, st.sampled_from(FAULTS))


def is_good(row: Row) -> bool:
    return not any(fault.items() <= row.items() for fault in FAULTS)


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(GOOD_VOTE | BAD_VOTE, max_size=10), min_size=1, max_size=3), at_a_time=st.integers(1, 7))
def test_every_row_is_accepted_quarantined_or_a_duplicate(
    bench: Bench, batches: list[list[Row]], at_a_time: int
) -> None:
    everything = [row for batch in batches for row in batch]
    first_positions: dict[object, int] = {}
    for position, row in enumerate(everything, start=1):
        if is_good(row):
            content = (row["timestamp"], row["query"], row["response"], row["rating"])
            identity = row["feedback_id"] or (content if row["timestamp"] else position)
            first_positions.setdefault(identity, position)
    bad = sum(not is_good(row) for row in everything)

    chatbot, total = bench.chatbot(), IngestionReport()
    with bench.warehouse() as connection, patch.object(ingestion, "BATCH_ROWS", at_a_time):
        for batch in batches:
            chatbot.votes(*batch)
            total += ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner())
        counts, piecemeal = ledger(connection), content_digest(connection)
        positions = {row[0] for row in connection.execute("SELECT position FROM feedback").fetchall()}
    assert positions == set(first_positions.values())
    assert (total.rows_in, total.accepted, total.quarantined) == (len(everything), len(positions), bad)
    assert total.duplicates == len(everything) - len(positions) - bad
    assert sum(total.reasons.values()) == bad
    assert counts == {**total.model_dump(exclude={"reasons"}), "repaired": counts["repaired"]}

    with bench.warehouse() as connection:
        assert ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner()) == total
        assert content_digest(connection) == piecemeal


@settings(max_examples=15, deadline=None)
@given(votes=st.lists(GOOD_VOTE, min_size=2, max_size=6), data=st.data())
def test_the_digest_does_not_depend_on_the_order(bench: Bench, votes: list[Row], data: st.DataObject) -> None:
    named = [{**row, "feedback_id": f"f{number}"} for number, row in enumerate(votes)]
    assert digest_of(bench, named) == digest_of(bench, data.draw(st.permutations(named)))


@pytest.mark.parametrize(
    "change",
    [
        {"feedback_id": "g"},
        {"query": "Quem é ela?"},
        {"query": "Quem é você"},  # the same question, but what models read
        {"response": "Galileo."},
        {"rating": 4},
        {"rating": None, "thumbs_up": 1},  # the same score
        {"user_id": "bia"},
        {"timestamp": "2026-08-03T12:00:01Z"},  # which vote was a person's last
        {"comment": "boa"},
        {"session_id": "s2"},
    ],
)
def test_the_digest_changes_with_all_that_later_stages_read(bench: Bench, change: Row) -> None:
    row = {**GOOD, "feedback_id": "f", "user_id": "ana", "session_id": "s1"}
    assert digest_of(bench, [row]) != digest_of(bench, [{**row, **change}])


def test_the_digest_changes_with_the_way_queries_are_told_apart(bench: Bench) -> None:
    row = {**GOOD, "feedback_id": "f"}  # nothing to repair, but without repair its key keeps case and punctuation
    assert digest_of(bench, [row]) != digest_of(bench, [row], repair=False)


def digest_of(bench: Bench, votes: list[Row], repair: bool = True) -> str:
    chatbot = bench.chatbot()
    chatbot.votes(*votes)
    with bench.warehouse() as connection:
        assert ingest_sqlite(connection, SqliteFeedback(chatbot.path), TextCleaner(repair)).accepted == len(votes)
        return content_digest(connection)
