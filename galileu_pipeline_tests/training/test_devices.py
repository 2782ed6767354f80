"""A stage sees the GPUs that its resources say, and no others."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from galileu_pipeline.errors import StageError
from galileu_pipeline.training import __main__ as process
from galileu_pipeline.training import base
from galileu_pipeline.training.devices import VISIBLE, limit_devices
from galileu_pipeline.training.settings import Resources, StageResult, StageSpec
from galileu_pipeline_tests.training.conftest import say_nothing


@pytest.mark.parametrize(
    ("allowed", "gpus", "seen"),
    [
        (None, 0, ""),
        (None, 1, "0"),
        ("0,1,2,3", 1, "0"),
        ("3,1", 1, "3"),
        (" 2 , 0", 1, "2"),
        ("GPU-8932f937-d72c,GPU-1f2e", 1, "GPU-8932f937-d72c"),
        ("0,1", 0, ""),
        ("", 0, ""),
        ("-1", 0, ""),
    ],
)
def test_the_first_of_the_allowed_ones_stay_visible(allowed: str | None, gpus: int, seen: str) -> None:
    environment = {} if allowed is None else {VISIBLE: allowed}
    limit_devices(environment, gpus)
    assert environment == {VISIBLE: seen}


@pytest.mark.parametrize("allowed", ["", "-1", "-1,0", " "])
def test_fewer_than_needed_is_an_error(allowed: str) -> None:
    with pytest.raises(StageError, match=r"needs 1 GPU.*shows 0"):
        limit_devices({VISIBLE: allowed}, 1)


def test_the_stage_runs_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def work(*_: object) -> StageResult:
        seen.append(os.environ[VISIBLE])
        return StageResult()

    monkeypatch.setenv(VISIBLE, "5,6")
    monkeypatch.setattr(base, "run", work)
    for gpus in (1, 0):
        monkeypatch.setenv(VISIBLE, "5,6")
        spec = StageSpec(
            stage="base", output=tmp_path, checkpoints=tmp_path, settings={}, resources=Resources(gpus=gpus)
        )
        process.run(spec, say_nothing)
    assert seen == ["5", ""]


def test_more_than_one_gpu_is_refused() -> None:
    """A stage is one process, which computes on one."""
    with pytest.raises(ValidationError, match="gpus"):
        Resources(gpus=2)
