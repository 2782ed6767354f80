"""The Dagster instance is whole however many open it first."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from dagster import DagsterInstance

from galileu_pipeline.automation.instance import TRAINING_POOL, allow_a_training_for_each, open_instance
from galileu_pipeline.data_folder import PROJECT_ROOT
from galileu_pipeline.training.devices import Gpu


def open_when_all_are_ready(barrier: Barrier) -> None:
    barrier.wait()
    instance, killed = open_instance()
    with instance:
        assert killed == []


@pytest.mark.slow
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


def test_several_gpus_train_at_once_unless_a_person_says_otherwise(tmp_path: Path) -> None:
    gpus = [Gpu(number, f"GPU-{number}", "NVIDIA L4", 24, 23) for number in range(3)]

    def at_once(instance: DagsterInstance) -> dict[str, int]:
        return {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}

    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        for few in ([], gpus[:1]):
            allow_a_training_for_each(few, instance)
        assert at_once(instance) == {}
        allow_a_training_for_each(gpus, instance)
        assert at_once(instance) == {TRAINING_POOL: 3}
        instance.event_log_storage.set_concurrency_slots(TRAINING_POOL, 2)
        allow_a_training_for_each(gpus, instance)
        assert at_once(instance) == {TRAINING_POOL: 2}
