"""A stage sees the GPUs that its resources say, and no others; two stages never see the same one."""

import multiprocessing
import os
import signal
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from pydantic import ValidationError

from galileu_pipeline.errors import StageError
from galileu_pipeline.process import Report
from galileu_pipeline.training import __main__ as process
from galileu_pipeline.training import base, devices
from galileu_pipeline.training.devices import VISIBLE, Gpu, look_at_gpus, own_devices
from galileu_pipeline.training.settings import Resources, StageResult, StageSpec
from galileu_pipeline_tests.training.conftest import say_nothing


def gpu(number: int, memory_gb: float = 24.0, free_gb: float | None = None) -> Gpu:
    free_gb = memory_gb - 0.5 if free_gb is None else free_gb
    return Gpu(number, f"GPU-{number}{number}-{number}", "NVIDIA L4", memory_gb, free_gb)


ONE = Resources(gpus=1, min_vram_gb=15, precision="bf16")


def seen(
    folder: Path, gpus: list[Gpu], allowed: str | None = None, resources: Resources = ONE, report: Report = say_nothing
) -> str:
    environment = {} if allowed is None else {VISIBLE: allowed}
    with own_devices(environment, resources, report, look=lambda: gpus, locks=folder):
        return environment[VISIBLE]


@pytest.mark.parametrize(
    ("allowed", "number"),
    [
        (None, 2),  # of which most is free
        ("0,1,2,3", 2),
        ("3,1", 3),
        (" 1 , 0", 0),
        ("GPU-11-1,GPU-00-0", 0),
        ("GPU-11", 1),
        ("1,-1,2", 1),
    ],
)
def test_the_freest_of_the_allowed_ones_is_taken(allowed: str | None, number: int, tmp_path: Path) -> None:
    gpus = [gpu(0), gpu(1, free_gb=20), gpu(2, 80), gpu(3, 40)]
    assert seen(tmp_path, gpus, allowed) == gpus[number].uuid


def test_a_stage_without_gpus_sees_none(tmp_path: Path) -> None:
    for allowed in (None, "", "0,1", "-1"):
        assert seen(tmp_path, [gpu(0), gpu(1)], allowed, Resources()) == ""


@pytest.mark.parametrize("allowed", ["", "-1", "-1,0", " "])
def test_none_allowed_is_an_error(allowed: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"needs 1 GPU.*shows 0"):
        seen(tmp_path, [gpu(0)], allowed)


def test_a_slice_of_a_gpu_is_left_to_whoever_gave_it(tmp_path: Path) -> None:
    assert seen(tmp_path, [], "MIG-1,MIG-2") == "MIG-1"


def test_without_a_gpu_the_profile_that_fits_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError) as error:
        seen(tmp_path, [])
    assert str(error.value) == (
        "The stage needs a GPU with 15 GiB of memory; found: none. Profile cpu fits this machine: "
        "export GALILEU_PROFILE=cpu. `galileu doctor` shows what each profile needs."
    )


@pytest.mark.parametrize(
    ("gpus", "resources", "told"),
    [
        ([gpu(0, 8)], ONE, r"found: GPU 0 NVIDIA L4 \(8.0 GiB, 7.5 free\).*Profile cpu fits"),
        ([gpu(0, 24)], Resources(gpus=1, min_vram_gb=38, precision="bf16"), "Profile gpu-16gb fits"),
    ],
)
def test_too_small_ones_are_listed(gpus: list[Gpu], resources: Resources, told: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=told):
        seen(tmp_path, gpus, resources=resources)


def test_memory_that_others_hold_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"other programs hold them: GPU 0 .* 3.0 free\)"):
        seen(tmp_path, [gpu(0, free_gb=3)])
    assert seen(tmp_path, [gpu(0, free_gb=3), gpu(1)]) == gpu(1).uuid


def _hold(folder: Path, holds: Event) -> None:
    with own_devices({}, ONE, say_nothing, look=lambda: [gpu(0), gpu(1)], locks=folder):
        holds.set()
        signal.pause()


@pytest.mark.slow
def test_two_stages_use_different_gpus_and_a_third_waits_until_one_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_POLL_S", 0.05)
    spawn = multiprocessing.get_context("spawn")
    holds = spawn.Event()
    first = spawn.Process(target=_hold, args=(tmp_path, holds))
    first.start()
    try:
        assert holds.wait(60)
        with own_devices(environment := {}, ONE, say_nothing, look=lambda: [gpu(0), gpu(1)], locks=tmp_path):
            assert environment[VISIBLE] == gpu(1).uuid
            reports: list[str] = []

            def report(line: str) -> None:
                reports.append(line)
                first.kill()  # SIGKILL: nothing is tidied up

            assert seen(tmp_path, [gpu(0), gpu(1)], report=report) == gpu(0).uuid
            assert reports == ["waiting for a GPU: other stages use all that are large enough"]
    finally:
        first.kill()
        first.join()


def test_every_user_of_the_machine_can_take_turns(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    assert seen(folder, [gpu(0)]) == gpu(0).uuid
    (lock,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, lock.stat().st_mode & 0o777) == (0o777, 0o666)


def test_the_stage_runs_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def work(*_: object) -> StageResult:
        seen.append(os.environ[VISIBLE])
        return StageResult()

    monkeypatch.setattr(base, "run", work)
    monkeypatch.setattr(process, "own_devices", partial(own_devices, look=lambda: [gpu(5), gpu(6)], locks=tmp_path))
    for gpus in (1, 0):
        monkeypatch.setenv(VISIBLE, "6,5")
        spec = StageSpec(
            stage="base", output=tmp_path, checkpoints=tmp_path, settings={}, resources=Resources(gpus=gpus)
        )
        process.run(spec, say_nothing)
    assert seen == [gpu(5).uuid, ""]


def test_this_machine_can_be_looked_at() -> None:
    assert all(0 < found.free_gb <= found.memory_gb for found in look_at_gpus())


def test_more_than_one_gpu_is_refused() -> None:
    """A stage is one process, which computes on one."""
    with pytest.raises(ValidationError, match="gpus"):
        Resources(gpus=2)
