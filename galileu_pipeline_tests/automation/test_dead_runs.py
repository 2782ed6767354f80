"""Runs that were killed do not hold up others."""

import multiprocessing
import os
import signal
from pathlib import Path

import dagster as dg

from galileu_pipeline.automation.dead_runs import fail_dead_runs


@dg.op(pool="training")
def look(context: dg.OpExecutionContext) -> None:
    assert fail_dead_runs(context.instance) == []
    assert slots_held(context.instance) == 1


@dg.op(pool="training")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dg.job
def looking() -> None:
    look()


@dg.job
def dying() -> None:
    die()


def make_instance(folder: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(
        str(folder), overrides={"concurrency": {"pools": {"granularity": "op", "default_limit": 1}}}
    )


def slots_held(instance: dg.DagsterInstance) -> int:
    return len(instance.event_log_storage.get_concurrency_info("training").claimed_slots)


def run_and_die(folder: Path) -> None:
    dying.execute_in_process(instance=make_instance(folder))


def test_a_killed_run_is_marked_as_failed_and_gives_its_slot_back(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with make_instance(tmp_path) as instance:
        (run,) = instance.get_runs()
        assert (run.status, slots_held(instance)) == (dg.DagsterRunStatus.STARTED, 1)
        assert fail_dead_runs(instance) == [run.run_id]
        assert (instance.get_runs()[0].status, slots_held(instance)) == (dg.DagsterRunStatus.FAILURE, 0)
        assert fail_dead_runs(instance) == []


def test_a_living_run_is_left_alone(tmp_path: Path) -> None:
    with make_instance(tmp_path) as instance:
        assert looking.execute_in_process(instance=instance).success
