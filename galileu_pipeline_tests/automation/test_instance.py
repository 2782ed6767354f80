"""The Dagster instance is whole however many open it first."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from galileu_pipeline.automation.instance import open_instance
from galileu_pipeline.data_folder import PROJECT_ROOT


def open_when_all_are_ready(barrier: Barrier) -> None:
    barrier.wait()
    instance, killed = open_instance()
    with instance:
        assert killed == []


def test_many_first_openings_at_once_leave_one_whole_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT_ROOT))
    monkeypatch.setenv("GALILEU_DAGSTER_STATE", str(tmp_path / "state"))
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    processes = [spawn.Process(target=open_when_all_are_ready, args=(barrier,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    instance, _ = open_instance()  # the version table has one head
    with instance:
        assert instance.get_runs() == []
