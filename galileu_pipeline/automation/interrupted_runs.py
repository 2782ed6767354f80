"""Interrupted runs that Dagster was to start again, and has not.

Dagster 1.13 writes that a run failed first and the run's new state after it. Its daemon, which looks every five seconds
and once at each failure, now and then comes between the two on a busy machine. It takes the run for one under way, and
never looks again.
"""

from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, PARENT_RUN_ID_TAG, WILL_RETRY_TAG

REMINDER = "This run was interrupted and is to be started again. Dagster has not done so, and is told once more."
_PATIENCE = timedelta(minutes=1)
_TOO_OLD = timedelta(hours=1)  # by then a person has seen to it, or nobody misses it


def remind_of_interrupted_runs(instance: DagsterInstance) -> list[str]:
    """Report once more every run that failed a minute ago, is to be started again and was not, for the daemon to see.

    Returns: the ids of those runs.
    """
    now = datetime.now(UTC)
    filters = RunsFilter(
        statuses=[DagsterRunStatus.FAILURE],
        tags={WILL_RETRY_TAG: "true"},
        updated_after=now - _TOO_OLD,
        updated_before=now - _PATIENCE,
    )
    waiting = [run for run in instance.get_runs(filters) if not _is_started_again(instance, run)]
    for run in waiting:
        instance.report_run_failed(run, REMINDER)
    return [run.run_id for run in waiting]


def _is_started_again(instance: DagsterInstance, run: DagsterRun) -> bool:
    """By Dagster, or by a person."""
    again = RunsFilter(tags={PARENT_RUN_ID_TAG: run.run_id})
    return AUTO_RETRY_RUN_ID_TAG in run.tags or instance.get_runs_count(again) > 0
