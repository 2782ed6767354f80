"""A stage until it ends: attempts that go on from each other's checkpoints, over several processes if need be."""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from galileu_pipeline.files import replace_file
from galileu_pipeline.process import Report
from galileu_pipeline.training.memory import is_out_of_memory, release, smaller
from galileu_pipeline.training.settings import MicroBatch, Settings, StageResult, StageSpec

_RECORD, _LOCK = "attempts.json", ".lock"


class Attempts(Settings):
    """What the attempts at one stage have come to so far."""

    resumes: int = 0
    micro_batch: MicroBatch | None = None


def until_done(
    spec: StageSpec, asked: MicroBatch, attempt: Callable[[StageSpec], StageResult], report: Report
) -> StageResult:
    """What `attempt` makes of `spec`; after running out of memory, with half the micro-batch from the last checkpoint.

    `asked` is the micro-batch of the settings. What an earlier run on the same devices came down to is where this one
    starts.

    Holds the folder of checkpoints: a process whose parent was killed may still be about to save its last step.

    Raises:
        OutOfMemoryError: even one example at a time was too much.
    """
    spec.checkpoints.mkdir(parents=True, exist_ok=True)
    with FileLock(spec.checkpoints / _LOCK):
        known = (_read(spec.checkpoints).micro_batch, spec.micro_batch)
        batch = next((batch for batch in known if batch and batch.devices == asked.devices), asked)
        while (result := _within_memory(_with(spec, batch), attempt)) is None:
            batch = smaller(batch)
            report(
                f"{spec.stage}: out of memory; going on with {batch.size} examples at once, "
                f"{batch.accumulation} times a step{_of_rollouts(batch)}"
            )
            _write(spec.checkpoints, _read(spec.checkpoints).model_copy(update={"micro_batch": batch}))
            release()
        environment = {**result.environment, "resumes": _read(spec.checkpoints).resumes}
        if batch != asked:
            environment["micro_batch"] = batch.model_dump()
        return result.model_copy(update={"environment": environment})


def _of_rollouts(batch: MicroBatch) -> str:
    if batch.rollout_size is None:
        return ""
    return f"; {batch.rollout_size} answers sampled and {batch.scoring_size} scored at once"


def count_resume(folder: Path) -> None:
    """Note that training goes on from a checkpoint of `folder` once more."""
    record = _read(folder)
    _write(folder, record.model_copy(update={"resumes": record.resumes + 1}))


def _within_memory(spec: StageSpec, attempt: Callable[[StageSpec], StageResult]) -> StageResult | None:
    try:
        return attempt(spec)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        # Nothing of the error is kept: its traceback holds the model.
        return None


def _with(spec: StageSpec, batch: MicroBatch) -> StageSpec:
    return spec.model_copy(update={"settings": {**spec.settings, **batch.settings()}})


def _read(folder: Path) -> Attempts:
    try:
        return Attempts.model_validate_json((folder / _RECORD).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Attempts()


def _write(folder: Path, record: Attempts) -> None:
    replace_file(folder / _RECORD, record.model_dump_json())
