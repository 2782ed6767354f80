"""Starting a job once for each state of the data, whatever happens to the daemon in between.

What has been started is read from the runs themselves, not from the sensor's cursor: a run carries the state it was
started for as a tag, and its key names the run before it. So a repeated tick asks for a run that is there already, and
a state that comes back after another one is still a new run. Dagster itself never forgets a key.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

TRIGGER_TAG, STATE_TAG, DATA_TAG = "galileu/trigger", "galileu/state", "galileu/data"
NEWS_TAG = "galileu/news"  # what a run learns that the one before did not know

_LOOK_BACK = 25  # runs; somebody may have re-executed some of the older ones
UNFINISHED = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def last_data(instance: dg.DagsterInstance, trigger: str) -> str | None:
    """What the last run of that trigger that went well worked on."""
    filters = dg.RunsFilter(tags={TRIGGER_TAG: trigger}, statuses=[dg.DagsterRunStatus.SUCCESS])
    runs = instance.get_runs(filters, limit=1)
    return runs[0].tags[DATA_TAG] if runs else None


def start_once(
    instance: dg.DagsterInstance,
    trigger: str,
    state: str,
    data: str,
    rank: Callable[[str], Any] | None = None,
) -> dg.RunRequest | dg.SkipReason:
    """A run for `state`, unless there is or was one.

    Args:
        trigger: whose runs these are.
        state: what the run is for.
        data: what it would work on; a run that failed is tried again once this is something else.
        rank: orders states, where only a higher one than any before is new; without it, any other than the last is.
    """
    runs = instance.get_runs(dg.RunsFilter(tags={TRIGGER_TAG: trigger}), limit=_LOOK_BACK)
    if unfinished := next((run for run in runs if run.status in UNFINISHED), None):
        return dg.SkipReason(f"Run {unfinished.run_id} is under way.")
    last = max(runs, key=lambda run: rank(run.tags[STATE_TAG])) if runs and rank else next(iter(runs), None)
    if last is not None:
        reached = last.tags[STATE_TAG]
        if (rank(state) <= rank(reached)) if rank else (state == reached):
            if last.status != dg.DagsterRunStatus.FAILURE:
                return dg.SkipReason(f"Nothing new since run {last.run_id}.")
            if last.tags.get(WILL_RETRY_TAG) == "true":
                return dg.SkipReason(f"Run {last.run_id} was interrupted; Dagster starts it again.")
            if last.tags[DATA_TAG] == data:
                return dg.SkipReason(
                    f"Run {last.run_id} failed. It is tried again with further feedback, or when you re-execute it."
                )
    return dg.RunRequest(
        run_key=f"{state}/{last.run_id if last else 'first'}",
        tags={TRIGGER_TAG: trigger, STATE_TAG: state, DATA_TAG: data},
    )
