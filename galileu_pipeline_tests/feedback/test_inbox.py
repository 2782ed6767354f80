"""Files that are put into the inbox are imported, once, and nothing is lost on the way."""

import json
import os
import time
from pathlib import Path

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError, WarehouseBusyError
from galileu_pipeline.feedback.ingestion.changes import feedback_state, record_import
from galileu_pipeline.feedback.ingestion.inbox import Delivery, Inbox
from galileu_pipeline.feedback.stages import empty_inbox
from galileu_pipeline.feedback.warehouse import Warehouse

ROW = {"query": "Quem é você?", "response": "Galileu.", "rating": 5}


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.inbox.mkdir(parents=True)
    return folder


def put(data: DataFolder, name: str, content: str | None = None, age_s: float = 60) -> Path:
    path = data.inbox / name
    path.write_text(json.dumps({**ROW, "feedback_id": name}) if content is None else content)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def accepted(data: DataFolder) -> int:
    with Warehouse(data.warehouse).open() as connection:
        return int(connection.execute("SELECT count(*) FROM feedback").fetchall()[0][0])


def deliver(data: DataFolder) -> list[Delivery]:
    return empty_inbox(Warehouse(data.warehouse), data, repair_text=True)


def test_good_files_are_imported_and_bad_ones_explained(data: DataFolder) -> None:
    put(data, "a.jsonl")
    put(data, "bad.csv", "colour,shape\nred,round\n")
    put(data, "c.jsonl")
    found = deliver(data)
    assert [(one.name, one.reason is None) for one in found] == [
        ("a.jsonl", True),
        ("bad.csv", False),
        ("c.jsonl", True),
    ]
    assert accepted(data) == 2
    assert names(data.inbox) == ["done", "refused"]
    assert names(data.inbox / "done") == ["a.jsonl", "c.jsonl"]
    assert names(data.inbox / "refused") == ["bad.csv", "bad.csv.txt"]
    assert "needed are query and response" in (data.inbox / "refused" / "bad.csv.txt").read_text()
    assert deliver(data) == []


def test_what_is_not_whole_waits(data: DataFolder) -> None:
    put(data, "young.jsonl", age_s=0)
    for name in (".hidden.jsonl", "a.jsonl.part", "b.jsonl.tmp", "c.jsonl.crdownload"):
        put(data, name)
    (data.inbox / "folder").mkdir()
    assert deliver(data) == []
    put(data, "young.jsonl")
    assert [one.name for one in deliver(data)] == ["young.jsonl"]


def test_a_file_of_a_name_that_was_there_keeps_both(data: DataFolder) -> None:
    for number in range(3):
        put(data, "votes.jsonl", json.dumps({**ROW, "feedback_id": str(number)}))
        deliver(data)
    assert names(data.inbox / "done") == ["votes-2.jsonl", "votes-3.jsonl", "votes.jsonl"]
    assert accepted(data) == 3


def test_a_fault_that_is_not_the_files_leaves_it_where_it_is(data: DataFolder) -> None:
    put(data, "a.jsonl")

    def busy(path: Path) -> None:
        raise WarehouseBusyError("busy")

    with pytest.raises(WarehouseBusyError):
        Inbox(data.inbox).empty(busy)
    assert names(data.inbox) == ["a.jsonl"]


def test_a_crash_before_the_move_imports_nothing_twice(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(data, "a.jsonl")
    with monkeypatch.context() as crash:
        crash.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            deliver(data)
    assert names(data.inbox / "done") == []
    assert [one.reason for one in deliver(data)] == [None]
    assert accepted(data) == 1


def test_the_sensor_sees_a_file_once_it_is_whole(data: DataFolder) -> None:
    assert feedback_state(data) is None
    put(data, "a.jsonl", age_s=0)
    assert feedback_state(data) is None
    put(data, "a.jsonl")
    waiting = feedback_state(data)
    assert waiting is not None
    assert feedback_state(data) == waiting
    put(data, "b.jsonl")
    assert feedback_state(data) != waiting


def test_no_inbox_is_an_empty_one(tmp_path: Path) -> None:
    assert Inbox(tmp_path / "none").empty(lambda path: pytest.fail(str(path))) == []


def test_the_reason_names_the_file(data: DataFolder) -> None:
    put(data, "empty.jsonl", "")
    (found,) = deliver(data)
    assert found.reason is not None
    assert "empty.jsonl is empty" in found.reason
    with pytest.raises(InputError):
        raise InputError(found.reason)


def test_imports_within_a_second_are_told_apart(data: DataFolder) -> None:
    states = set()
    for _ in range(3):
        record_import(data)
        states.add(feedback_state(data))
    assert len(states) == 3
