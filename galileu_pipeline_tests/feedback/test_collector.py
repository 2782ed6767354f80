"""Clicks into SQLite: nothing acknowledged is lost, nothing is stored twice."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from datasets import load_dataset

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline_tests.feedback.conftest import (
    GUIDE_SCHEMA,
    NAUGHTY_STRINGS,
    PSEUDONYMS,
    empty_warehouse,
    import_file,
    ingest,
    needs_naughty_strings,
)


@pytest.fixture
def collector(tmp_path: Path) -> FeedbackCollector:
    return FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)


def rows(collector: FeedbackCollector, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(collector.path) as connection:
        return connection.execute(statement).fetchall()


def test_the_guides_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    collector = FeedbackCollector()
    collector.add_feedback("Quem é você?", "Galileu.", rating=5, thumbs_up=True, comment="boa", session_id="s")
    collector.add_feedback("Quem é você?", "Ninguém.", rating=2)
    collector.add_preference("Quem é você?", "Galileu.", "Ninguém.", reason="personagem")

    collector.export_for_training("data/feedback/training_data.jsonl", min_rating=4)
    collector.export_preference_pairs("data/feedback/preference_pairs.json")
    stats = collector.get_feedback_stats()

    assert (tmp_path / "feedback" / "feedback.db").is_file()
    assert (stats["total_feedback"], stats["average_rating"], stats["preference_pairs"]) == (2, 3.5, 1)
    (example,) = map(json.loads, Path("data/feedback/training_data.jsonl").read_text().splitlines())
    assert (example["prompt"], example["completion"], example["rating"]) == ("Quem é você?", "Galileu.", 5)
    (pair,) = load_dataset("json", data_files="data/feedback/preference_pairs.json", split="train", cache_dir="cache")
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("Quem é você?", "Galileu.", "Ninguém.")


def test_wal_and_full_synchronisation(collector: FeedbackCollector) -> None:
    assert rows(collector, "PRAGMA journal_mode") == [("wal",)]
    with collector._connect() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_an_id_sent_again_stores_once(collector: FeedbackCollector) -> None:
    for _ in range(3):
        assert collector.add_feedback("q", "r", rating=5, feedback_id="a") == "a"
    assert rows(collector, "SELECT count(*) FROM feedback") == [(1,)]
    with pytest.raises(InputError, match="another rating"):
        collector.add_feedback("q", "r", rating=1, feedback_id="a")


def test_the_last_vote_of_a_person_stands_and_the_history_is_kept(collector: FeedbackCollector) -> None:
    for rating in (1, 2, 5):
        collector.add_feedback("q", "r", rating=rating, user_id="ana")
    collector.add_feedback("q", "r", rating=3, user_id="bia")
    collector.add_feedback("q", "r", thumbs_up=False)
    collector.add_feedback("q", "r", thumbs_up=False)  # of nobody known: may be two people
    stats = collector.get_feedback_stats()
    assert (stats["events"], stats["total_feedback"], stats["people"]) == (6, 4, 2)
    assert stats["rating_distribution"] == {1: 0, 2: 0, 3: 1, 4: 0, 5: 1}
    assert stats["thumbs_down"] == 2


def test_people_are_kept_as_keyed_hashes_only(collector: FeedbackCollector) -> None:
    collector.add_feedback("q", "r", rating=5, user_id="ana@example.org", session_id="sessão da ana")
    (user, session) = rows(collector, "SELECT user_id, session_id FROM feedback")[0]
    assert str(user).startswith("person-")
    assert str(session).startswith("person-")
    for file in collector.path.parent.glob("feedback.db*"):
        assert b"ana@example.org" not in file.read_bytes()
    assert user == PSEUDONYMS.of("ana@example.org") == PSEUDONYMS.of(str(user))


def test_a_comparison_decides_a_preference_and_a_tie_none(collector: FeedbackCollector) -> None:
    collector.add_comparison("q", "a", "b", "right", model_left="m1", model_right="m2", feedback_id="x")
    collector.add_comparison("q", "a", "b", "tie")
    collector.add_comparison("q", "a", "b", "both_bad")
    assert rows(collector, "SELECT response_chosen, response_rejected, feedback_id FROM preference_pairs") == [
        ("b", "a", "x")
    ]
    assert Counter(verdict for (verdict,) in rows(collector, "SELECT verdict FROM comparisons")) == {
        "right": 1,
        "tie": 1,
        "both_bad": 1,
    }


def test_a_correction_is_preferred_to_the_original(collector: FeedbackCollector, tmp_path: Path) -> None:
    collector.add_correction("q", "ruim", "melhor", user_id="ana")
    warehouse = empty_warehouse(tmp_path / "x.duckdb")
    assert ingest(warehouse, collector.path).accepted == 1
    with warehouse.open() as connection:
        found = connection.execute("SELECT chosen, rejected, reason FROM feedback_choices").fetchall()
    assert found == [("melhor", "ruim", "correction")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": " "}, "query is empty"),
        ({"response": "\ud800"}, "not valid Unicode"),
        ({"rating": 6}, "from 1 to 5"),
        ({"rating": float("nan")}, "from 1 to 5"),
        ({"rating": True}, "from 1 to 5"),
        ({"rating": None}, "Give a rating"),
        ({"comment": "x" * 4_001}, "at most 4,000"),
        ({"query": "x" * 100_001}, "at most 100,000"),
        ({"query": 7}, "must be text"),
    ],
)
def test_what_cannot_be_stored_is_told(collector: FeedbackCollector, change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        collector.add_feedback(**{"query": "q", "response": "r", "rating": 5, **change})  # type: ignore[arg-type]
    assert rows(collector, "SELECT count(*) FROM feedback") == [(0,)]


def test_an_existing_file_of_the_guide_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(GUIDE_SCHEMA.format(extra=""))
        connection.execute("INSERT INTO feedback (timestamp, query, response, rating) VALUES ('2026', 'q', 'r', 4)")
    collector = FeedbackCollector(path, PSEUDONYMS)
    collector.add_feedback("q", "r", rating=2, user_id="ana", timestamp=datetime(2026, 11, 24))
    FeedbackCollector(path, PSEUDONYMS)  # opening again changes nothing
    assert rows(collector, "SELECT rating, timestamp FROM feedback") == [(4, "2026"), (2, "2026-11-24T00:00:00+00:00")]
    assert collector.get_feedback_stats()["average_rating"] == 3


def test_an_older_file_may_have_an_id_twice(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(GUIDE_SCHEMA.format(extra=", feedback_id TEXT"))
        for _ in range(2):
            connection.execute("INSERT INTO feedback (query, response, rating, feedback_id) VALUES ('q', 'r', 4, 'a')")
    collector = FeedbackCollector(path, PSEUDONYMS)
    collector.add_feedback("q", "r", rating=2, feedback_id="b")
    assert rows(collector, "SELECT count(*) FROM feedback") == [(3,)]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    path.write_text("not a database, whatever its name says" * 50)
    with pytest.raises(InputError, match="cannot be used to collect feedback"):
        FeedbackCollector(path, PSEUDONYMS)


@pytest.mark.slow
@needs_naughty_strings
def test_naughty_strings_survive_the_way_from_click_to_warehouse(collector: FeedbackCollector, tmp_path: Path) -> None:
    naughty = json.loads(NAUGHTY_STRINGS.read_text(encoding="utf-8"))
    stored = 0
    for text in naughty:
        for column in ("query", "response", "comment"):
            event = {"query": "q", "response": "r", "comment": "c", column: text}
            if text.strip() or column == "comment":  # a rating without a comment is a vote
                collector.add_feedback(**event, rating=5)
                stored += 1
            else:
                with pytest.raises(InputError, match="is empty"):
                    collector.add_feedback(**event, rating=5)
    assert stored >= 3 * (len(naughty) - 10)
    with sqlite3.connect(collector.path) as connection:
        kept = set(connection.execute("SELECT query FROM feedback UNION SELECT response FROM feedback"))
    assert {(text,) for text in naughty if text.strip()} <= kept
    warehouse = empty_warehouse(tmp_path / "x.duckdb")
    report = ingest(warehouse, collector.path)
    assert report.rows == stored == report.accepted + report.duplicates + report.refused
    assert set(report.quarantined) <= {"missing_text"}  # invisible characters alone are no text
    assert import_file(empty_warehouse(tmp_path / "y.duckdb"), collector.path).accepted == report.accepted


WRITER = """
import sys
from pathlib import Path
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms

path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
collector = FeedbackCollector(path, Pseudonyms(b"k" * 32))
with open(sys.argv[4], "w") as acknowledged:
    for number in range(count):
        event = f"{name}-{number}"
        collector.add_feedback(f"question {number % 50}", event, rating=1 + number % 5, feedback_id=event)
        print(event, file=acknowledged, flush=True)
"""


@pytest.mark.slow
def test_32_processes_write_and_four_are_killed(tmp_path: Path) -> None:
    """No acknowledged event is lost, none is there twice, and what the others wrote is whole."""
    path, count = tmp_path / "feedback.db", 250
    FeedbackCollector(path, PSEUDONYMS)
    acknowledged = [tmp_path / f"acknowledged-{number}" for number in range(32)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, f"w{number}", str(count), acknowledged[number]])
        for number in range(32)
    ]
    doomed = random.sample(range(32), 4)
    marks = {number: random.randrange(10, 180) for number in doomed}
    while marks:  # each is killed somewhere in the middle of its work, however fast the machine is
        for number, mark in list(marks.items()):
            text = acknowledged[number].read_bytes() if acknowledged[number].exists() else b""
            if text.count(b"\n") >= mark or writers[number].poll() is not None:
                os.kill(writers[number].pid, signal.SIGKILL)
                del marks[number]
        time.sleep(0.002)  # the writers need the processor more
    codes = [writer.wait() for writer in writers]
    assert [code for number, code in enumerate(codes) if number not in doomed] == [0] * 28

    told = [line for file in acknowledged for line in file.read_text().splitlines()]
    with sqlite3.connect(path) as connection:
        stored = Counter(event for (event,) in connection.execute("SELECT feedback_id FROM feedback"))
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert set(told) <= set(stored)
    assert set(stored.values()) == {1}
    assert len(told) >= 28 * count
    assert len(stored) - len(told) <= 4  # a killed process may have stored one event more than it could tell
