"""An interrupted run is started again also where Dagster's daemon overlooked it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, PARENT_RUN_ID_TAG, WILL_RETRY_TAG
from dagster._daemon.auto_run_reexecution import auto_run_reexecution
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from galileu_pipeline.automation import interrupted_runs
from galileu_pipeline.automation.interrupted_runs import remind_of_interrupted_runs


@dg.op
def work() -> None: ...


@dg.job
def job() -> None:
    work()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    retries = {"run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=retries) as made:
        yield made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupted_runs, "_PATIENCE", timedelta())


def interrupted(instance: dg.DagsterInstance) -> dg.DagsterRun:
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run)
    return run


def test_a_run_that_the_daemon_overlooked(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    started_again: list[str] = []
    monkeypatch.setattr(auto_run_reexecution, "retry_run", lambda run, _: started_again.append(run.run_id))
    daemon, context = EventLogConsumerDaemon(), SimpleNamespace(instance=instance)

    def look() -> None:
        for _ in daemon.run_iteration(context):  # type: ignore[arg-type]
            pass

    look()  # what was before its first look is none of its business
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    with monkeypatch.context() as between:
        handle = instance.run_storage.handle_run_event

        def look_first(*args: Any) -> None:
            look()
            handle(*args)

        between.setattr(instance.run_storage, "handle_run_event", look_first)
        instance.report_run_failed(run)
    look()
    (failed,) = instance.get_runs()
    assert (failed.status, failed.tags[WILL_RETRY_TAG]) == (dg.DagsterRunStatus.FAILURE, "true")
    assert started_again == []

    assert remind_of_interrupted_runs(instance) == []  # it may yet come
    monkeypatch.setattr(interrupted_runs, "_PATIENCE", timedelta())
    assert remind_of_interrupted_runs(instance) == [run.run_id]
    look()
    assert started_again == [run.run_id]


@pytest.mark.usefixtures("at_once")
def test_a_run_that_was_started_again(instance: dg.DagsterInstance) -> None:
    by_dagster, by_a_person, forgotten = (interrupted(instance) for _ in range(3))
    instance.add_run_tags(by_dagster.run_id, {AUTO_RETRY_RUN_ID_TAG: "the next one"})
    instance.create_run_for_job(job, tags={PARENT_RUN_ID_TAG: by_a_person.run_id})
    assert remind_of_interrupted_runs(instance) == [forgotten.run_id]


@pytest.mark.usefixtures("at_once")
def test_nobody_is_reminded_twice_but_of_the_next_try(instance: dg.DagsterInstance) -> None:
    """Dagster may have reasons of its own, such as a backfill that was cancelled."""
    run = interrupted(instance)
    assert remind_of_interrupted_runs(instance) == [run.run_id]
    assert remind_of_interrupted_runs(instance) == []
    tags = {**instance.get_runs()[0].tags, PARENT_RUN_ID_TAG: run.run_id}  # a retry has those of the run before
    again = instance.create_run_for_job(job, status=dg.DagsterRunStatus.FAILURE, tags=tags)
    assert remind_of_interrupted_runs(instance) == [again.run_id]


@pytest.mark.usefixtures("at_once")
def test_a_run_that_is_not_to_be_started_again(instance: dg.DagsterInstance) -> None:
    run = interrupted(instance)
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
    assert job.execute_in_process(instance=instance).success
    assert remind_of_interrupted_runs(instance) == []


@pytest.mark.usefixtures("at_once")
def test_an_old_run_is_left_alone(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(instance)
    monkeypatch.setattr(interrupted_runs, "_TOO_OLD", timedelta())
    assert remind_of_interrupted_runs(instance) == []
