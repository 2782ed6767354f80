"""Runs whose process is gone (killed, out of memory, power cut).

Dagster 1.13 leaves such a run started for ever where nothing but processes of one machine runs it, and with it the slot
it holds in a pool: every later training waits. Its run monitoring only asks launchers that can answer, and the default
one cannot; runs of the command line have none.
"""

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.storage.runs import SqliteRunStorage

_UNDER_WAY = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_MESSAGE = (
    "The process of this run is gone (killed, or the machine went down). "
    "Start it again: it goes on from its last checkpoint."
)


def fail_dead_runs(instance: DagsterInstance) -> list[str]:
    """Mark every run whose process no longer exists as failed, and free its slots in the pools.

    Only where the runs are kept in SQLite, which means that all of them run on this machine.

    Returns: the ids of those runs.
    """
    if not isinstance(instance.run_storage, SqliteRunStorage):
        return []
    dead = [run for run in instance.get_runs(RunsFilter(statuses=_UNDER_WAY)) if _is_dead(instance, run.run_id)]
    for run in dead:
        instance.report_run_failed(run, _MESSAGE)
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _is_dead(instance: DagsterInstance, run_id: str) -> bool:
    starts = instance.all_logs(run_id, of_type=DagsterEventType.RUN_START)
    return any(
        start.dagster_event is not None
        and start.dagster_event.pid is not None
        and not _alive(start.dagster_event.pid, since=start.timestamp)
        for start in starts[-1:]
    )


def _alive(pid: int, since: float) -> bool:
    """The process that had this id at `since` (seconds since 1970) still runs; not a later one with the same id."""
    try:
        process = psutil.Process(pid)
        return process.create_time() <= since and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
