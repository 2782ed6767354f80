"""What keeps Dagster's records from growing for ever: old runs go, with their events, logs and pages."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from galileu_pipeline.automation.history import forget_runs
from galileu_pipeline.automation.triggers import FINISHED


def forget_old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Forget runs that ended before that time, but those that last made an asset, whose page shows what they found.

    Returns: the ids of those runs.
    """
    shown = {
        event.run_id
        for key in instance.get_asset_keys()
        if (event := instance.get_latest_materialization_event(key)) is not None
    }
    runs = instance.get_runs(dg.RunsFilter(statuses=list(FINISHED), updated_before=before))
    return forget_runs(instance, [run.run_id for run in runs if run.run_id not in shown])


class KeepConfig(dg.Config):
    """How long runs are remembered."""

    days: int = 90


@dg.op
def forget_runs_of_long_ago(context: dg.OpExecutionContext, config: KeepConfig) -> None:
    """Forgets runs that ended more than so many days ago."""
    forgotten = forget_old_runs(context.instance, datetime.now(UTC) - timedelta(days=config.days))
    context.log.info(f"{len(forgotten)} runs of more than {config.days} days ago are forgotten.")


@dg.job(description="Forgets old runs, so that Dagster's records do not grow for ever.")
def housekeeping() -> None:
    forget_runs_of_long_ago()


def housekeeping_config(days: int) -> dict[str, object]:
    """The run config of `housekeeping`."""
    return {"ops": {"forget_runs_of_long_ago": {"config": {"days": days}}}}
