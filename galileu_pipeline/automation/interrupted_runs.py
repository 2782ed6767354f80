"""Interrupted runs that Dagster was to start again, and has not.

Dagster 1.13 writes that a run failed first and the run's new state after it. Its daemon, which looks every five seconds
and once at each failure, now and then comes between the two on a busy machine. It takes the run for one under way, and
never looks again.
"""

from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, PARENT_RUN_ID_TAG, WILL_RETRY_TAG

REMINDER = "This run was interrupted and is to be started again. Dagster has not done so, and is told once more."
_REMINDED_TAG = "galileu/reminded"  # holds the run's own id, because the next try gets the tags of the one before
_PATIENCE = timedelta(minutes=1)
_TOO_OLD = timedelta(hours=1)  # by then a person has seen to it, or nobody misses it


def remind_of_interrupted_runs(instance: DagsterInstance) -> list[str]:
    """Report once more every run that failed a minute ago, is to be started again and was not, for the daemon to see.

    Once is enough, as the run's state is known by then. If Dagster lets it be all the same, it has its reasons.

    Returns: the ids of those runs.
    """
    now = datetime.now(UTC)
    filters = RunsFilter(
        statuses=[DagsterRunStatus.FAILURE],
        tags={WILL_RETRY_TAG: "true"},
        updated_after=now - _TOO_OLD,
        updated_before=now - _PATIENCE,
    )
    waiting = [run for run in instance.get_runs(filters) if _is_overlooked(instance, run)]
    for run in waiting:
        instance.report_run_failed(run, REMINDER)
        instance.add_run_tags(run.run_id, {_REMINDED_TAG: run.run_id})
    return [run.run_id for run in waiting]


def _is_overlooked(instance: DagsterInstance, run: DagsterRun) -> bool:
    if AUTO_RETRY_RUN_ID_TAG in run.tags or run.tags.get(_REMINDED_TAG) == run.run_id:
        return False
    return instance.get_runs_count(RunsFilter(tags={PARENT_RUN_ID_TAG: run.run_id})) == 0  # nor did a person
