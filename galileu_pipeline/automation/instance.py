"""Opening the Dagster instance, the way everything that starts runs or servers does it first."""

import os
from collections.abc import Sequence
from pathlib import Path

from dagster import DagsterInstance
from filelock import FileLock

from galileu_pipeline.automation.dead_runs import fail_dead_runs
from galileu_pipeline.data_folder import PROJECT_ROOT
from galileu_pipeline.training.devices import Gpu, look_at_gpus

TRAINING_POOL = "training"


def open_instance() -> tuple[DagsterInstance, list[str]]:
    """The instance, with the environment that env.sh sets up where it is not set, and without runs that are dead.

    One process at a time: Dagster 1.13 makes its SQLite files on the first opening, and two first openings at once
    leave them with two heads of the schema's version table, which no later command accepts.

    Returns: the instance, to be closed by the caller, and the ids of runs that were found dead and marked as failed.
    """
    os.environ.setdefault("DAGSTER_HOME", str(PROJECT_ROOT))
    state = Path(os.environ.setdefault("GALILEU_DAGSTER_STATE", str(PROJECT_ROOT / ".dagster")))
    state.mkdir(parents=True, exist_ok=True)
    with FileLock(state / "instance.lock"):
        instance = DagsterInstance.get()
        allow_a_training_for_each(look_at_gpus(), instance)
        return instance, fail_dead_runs(instance)


def allow_a_training_for_each(gpus: Sequence[Gpu], instance: DagsterInstance) -> None:
    """Where there are several GPUs, so many trainings at once, each of which takes one; unless a person has said it."""
    limits = instance.event_log_storage.get_pool_limits()
    if len(gpus) > 1 and all(limit.name != TRAINING_POOL or limit.from_default for limit in limits):
        instance.event_log_storage.set_concurrency_slots(TRAINING_POOL, len(gpus))
