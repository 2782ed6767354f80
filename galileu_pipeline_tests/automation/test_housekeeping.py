"""Old runs are forgotten, but none whose findings an asset's page still shows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from galileu_pipeline.automation.housekeeping import forget_old_runs, housekeeping, housekeeping_config


@dg.asset
def one() -> None: ...


@dg.asset
def other() -> None: ...


def make(instance: dg.DagsterInstance, *assets: dg.AssetsDefinition) -> str:
    return dg.materialize(list(assets), instance=instance).run_id


def test_old_runs_go_and_shown_ones_stay(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        first = make(instance, one, other)
        second = make(instance, one, other)
        shown_of_other = make(instance, other)
        shown_of_one = make(instance, one)
        running = instance.create_run_for_job(housekeeping, status=dg.DagsterRunStatus.STARTED).run_id
        assert forget_old_runs(instance, datetime.now(UTC) - timedelta(days=1)) == []
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert sorted(forget_old_runs(instance, soon)) == sorted([first, second])
        assert {run.run_id for run in instance.get_runs()} == {shown_of_other, shown_of_one, running}
        shown = instance.get_latest_materialization_event(dg.AssetKey("other"))
        assert shown is not None
        assert shown.run_id == shown_of_other
        assert forget_old_runs(instance, soon) == []


def test_the_job_runs(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        made = make(instance, one)
        assert housekeeping.execute_in_process(instance=instance, run_config=housekeeping_config(30)).success
        assert made in {run.run_id for run in instance.get_runs()}
