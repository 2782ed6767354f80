"""Attempts at a stage: how batches are halved, and what is remembered from one attempt to the next."""

from pathlib import Path

import pytest
import torch

from galileu_pipeline.errors import OutOfMemoryError
from galileu_pipeline.training.attempts import count_resume, until_done
from galileu_pipeline.training.memory import is_out_of_memory, smaller
from galileu_pipeline.training.settings import MicroBatch, StageResult, StageSpec

CARD, OTHER = ["NVIDIA H100"], ["NVIDIA T4"]


def batch(size: int, accumulation: int = 1, eval_size: int = 8, devices: list[str] = CARD) -> MicroBatch:
    return MicroBatch(size=size, accumulation=accumulation, eval_size=eval_size, devices=devices)


@pytest.mark.parametrize(
    ("size", "accumulation", "expected"),
    [
        (16, 1, (8, 2)),
        (8, 2, (4, 4)),
        (2, 8, (1, 16)),
        (12, 1, (6, 2)),
        (10, 3, (5, 6)),
        (15, 1, (5, 3)),
        (7, 2, (2, 7)),
    ],
)
def test_half_the_micro_batch_and_the_same_effective_batch(
    size: int, accumulation: int, expected: tuple[int, int]
) -> None:
    halved = smaller(batch(size, accumulation))
    assert (halved.size, halved.accumulation) == expected
    assert halved.size * halved.accumulation == size * accumulation


def test_below_one_there_is_an_error() -> None:
    with pytest.raises(OutOfMemoryError, match="max_length"):
        smaller(batch(1, 16, eval_size=1))


def test_what_is_sampled_and_scored_at_once_is_halved_too_down_to_one() -> None:
    start = batch(1, 16, eval_size=1).model_copy(update={"rollout_size": 8, "scoring_size": 3})
    halved = smaller(start)
    assert (halved.rollout_size, halved.scoring_size) == (4, 1)
    assert (halved.size, halved.accumulation, halved.eval_size) == (1, 16, 1)
    with pytest.raises(OutOfMemoryError):
        smaller(smaller(smaller(halved)))


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (OSError(12, "Cannot fork"), False),
        (ValueError("out of range"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one


class Stage:
    """Needs memory for as many examples as it trains on at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def __call__(self, spec: StageSpec) -> StageResult:
        size = spec.settings["batch_size"]
        assert isinstance(size, int)
        self.tried.append(size)
        if size > self.room:
            raise torch.OutOfMemoryError
        return StageResult()


def make_spec(folder: Path, known: MicroBatch | None = None) -> StageSpec:
    return StageSpec(stage="sft", output=folder, checkpoints=folder / "kept", settings={}, micro_batch=known)


def test_it_goes_down_until_it_fits_and_says_so(tmp_path: Path) -> None:
    stage, told = Stage(room=4), list[str]()
    result = until_done(make_spec(tmp_path), batch(16), stage, told.append)
    assert stage.tried == [16, 8, 4]
    assert result.environment["micro_batch"] == batch(4, 4, 2).model_dump()
    assert "4 examples at once, 4 times a step" in told[-1]


def test_what_fits_is_not_recorded(tmp_path: Path) -> None:
    assert until_done(make_spec(tmp_path), batch(4), Stage(room=4), print).environment == {"resumes": 0}


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "tried"), [(CARD, [4]), (OTHER, [16, 8, 4])])
@pytest.mark.parametrize("remembered", ["in the manifest", "beside the checkpoints"])
def test_the_next_attempt_starts_there_on_the_same_card(
    tmp_path: Path, devices: list[str], tried: list[int], remembered: str
) -> None:
    known = None
    if remembered == "in the manifest":
        known = batch(4, 4)
    else:
        until_done(make_spec(tmp_path), batch(16), Stage(room=4), print)
    stage = Stage(room=4)
    until_done(make_spec(tmp_path, known), batch(16, devices=devices), stage, print)
    assert stage.tried == tried


def test_other_errors_pass_at_once(tmp_path: Path) -> None:
    def attempt(spec: StageSpec) -> StageResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        until_done(make_spec(tmp_path), batch(16), attempt, print)


def test_resumes_are_counted_over_all_attempts(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    spec.checkpoints.mkdir()
    count_resume(spec.checkpoints)
    count_resume(spec.checkpoints)
    assert until_done(spec, batch(4), Stage(room=4), print).environment["resumes"] == 2
