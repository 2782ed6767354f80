"""Checkpoints that can be trusted: a killed run goes on from the last one that is whole.

transformers writes a checkpoint in place, file by file, deletes older ones before a subclass has added its own files,
and resumes from the one of the highest number, whole or not. Here one is written aside, all that the stage adds
included; synchronised; sealed with the digests of its files; renamed; and only then are older ones deleted.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from pydantic import BaseModel, ValidationError
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from galileu_pipeline.errors import DivergedError
from galileu_pipeline.files import replace_file, sync
from galileu_pipeline.lineage.digests import code_digest, folder_digests
from galileu_pipeline.training.processes import Processes
from galileu_pipeline.training.writing import write_adapter

KEPT = 2  # the last one, and the one before it in case that the disk spoils the last
_SEAL = "complete"
_DECIDING = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")  # packages that decide what comes next


class Seal(BaseModel):
    """What a whole checkpoint says of itself: which files it has, and what wrote it."""

    written_by: dict[str, str]
    files: dict[str, str]


class WholeCheckpoints(Trainer):
    """A mixin, to stand before the `Trainer` it is for: its checkpoints are whole or not there.

    What a checkpoint of transformers leaves out goes in too: the sums between two points of the curves. So one may be
    written at any step.
    """

    _aside: Path | None = None

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """As transformers does it; `resume_from_checkpoint=True` means the newest one that is whole."""
        if resume_from_checkpoint is True and (last := newest(Path(str(self.args.output_dir)))):
            resume_from_checkpoint = str(last)
        restore = _RestoreSums(self, resume_from_checkpoint)
        self.add_callback(restore)
        try:
            return super().train(resume_from_checkpoint, *args, **kwargs)
        finally:
            self.remove_callback(restore)

    def require_finite_weights(self) -> None:
        """A checkpoint of weights that are no numbers would take the place of a good one.

        Raises:
            DivergedError: some are not finite.
        """
        assert self.model is not None  # a trainer that was told to make its model has done so
        if name := not_finite(self.model):
            raise DivergedError(
                f"The weights of {name} are not finite at step {self.state.global_step}. Lower learning_rate, or use "
                "precision fp32."
            )

    def add_to_checkpoint(self, folder: Path) -> None:
        """Write what this trainer needs besides to go on; every process is asked."""

    def sums(self) -> dict[str, Any]:
        """What has been summed up since the last point of the curves, as JSON takes it."""
        return {
            "loss": self._tr_loss.item(),
            "since": self._globalstep_last_logged,
            "metrics": getattr(self, "_metrics", {}),
            "tokens": getattr(self, "_total_train_tokens", 0),
        }

    def restore_sums(self, sums: dict[str, Any]) -> None:
        self._tr_loss = torch.tensor(sums["loss"], device=self.args.device)
        self._globalstep_last_logged = sums["since"]
        _fill(getattr(self, "_metrics", {}), sums["metrics"])
        if hasattr(self, "_total_train_tokens"):
            self._total_train_tokens = sums["tokens"]

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not isinstance(self.model, PeftModel):
            super()._save(output_dir, state_dict)
            return
        write_adapter(self.model, Path(output_dir or str(self.args.output_dir)), state_dict=state_dict)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: TRL would write one beside every checkpoint, which nobody reads."""

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if self.state.global_step >= self.state.max_steps:
            # Resumed from its last step, in the middle of an epoch; transformers would take one more.
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside) if self._aside else super()._get_output_dir(trial)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As transformers does it; within a checkpoint, a failure is one of all processes, who wait for each other."""
        if self._aside is None:
            super().save_model(output_dir, _internal_call)
        else:
            save = super().save_model
            Processes(self.accelerator).together(lambda: save(output_dir, _internal_call))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.require_finite_weights()
        home, name = Path(self._get_output_dir(trial)), f"checkpoint-{self.state.global_step}"
        aside = home / f".{name}.partial"
        save = super()._save_checkpoint

        def clear() -> None:
            if self.args.should_save:
                shutil.rmtree(aside, ignore_errors=True)

        def write() -> None:  # every process has files of its own
            save(model, trial)
            self.add_to_checkpoint(aside / name)
            sums = aside / name / _sums_name(self.args.process_index)
            sums.write_text(json.dumps(self.sums()), encoding="utf-8")

        def publish() -> None:
            if self.args.should_save:
                seal(aside / name)
                _publish(aside / name, home / name)
                aside.rmdir()
                _rotate(home, self.args.save_total_limit)

        processes = Processes(self.accelerator)
        processes.together(clear)
        self._aside = aside
        try:
            processes.together(write)
        finally:
            self._aside = None
        processes.together(publish)


def not_finite(model: nn.Module) -> str | None:
    """The name of a trainable weight of `model` that has an infinite value or NaN; None where there is none."""
    trainable = ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)
    return next((name for name, weight in trainable if not torch.isfinite(weight).all()), None)


class _RestoreSums(TrainerCallback):
    """Once the trainer has set its sums to zero, and before the first step."""

    def __init__(self, trainer: WholeCheckpoints, checkpoint: str | bool | None) -> None:
        self._trainer = trainer
        name = _sums_name(trainer.args.process_index)
        self._file = Path(checkpoint) / name if isinstance(checkpoint, str) else None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._file and self._file.is_file():
            self._trainer.restore_sums(json.loads(self._file.read_text(encoding="utf-8")))


def seal(folder: Path) -> None:
    """Put all of `folder` on disk, and then its seal."""
    files = folder_digests(folder)
    for name in files:
        sync(folder / name)
    for directory in (path for path in folder.rglob("*") if path.is_dir()):
        sync(directory)
    replace_file(folder / _SEAL, Seal(written_by=_writer(), files=files).model_dump_json(indent=2))


def newest(folder: Path) -> Path | None:
    """The whole checkpoint of the highest step, or None. Changes nothing."""
    return next((path for path in _by_step(folder) if _fault(path) is None), None)


def last_checkpoint(folder: Path, report: Callable[[str], None]) -> Path | None:
    """The checkpoint to go on from, or None; each one that cannot be is removed, and `report` is told why.

    That is one that is not whole, or was written by other code or library versions, whose next steps would not be
    those of the run that wrote it.
    """
    for path in sorted(folder.glob(".checkpoint-*.partial")):
        report(f"{path.name} is removed: its writing or its deletion was interrupted")
        discard(path)
    found = list(_by_step(folder))
    whole = []
    for path in found:
        if fault := _fault(path) or _foreign(path):
            report(f"{path.name} is removed: {fault}")
            discard(path)
        else:
            whole.append(path)
    if found and not whole:
        report("no checkpoint can be used: starting over")
    return whole[0] if whole else None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[-1])


def discard(path: Path) -> None:
    """Delete a checkpoint; half deleted, it does not look like one."""
    doomed = path
    if not path.name.startswith("."):
        doomed = path.with_name(f".{path.name}.old.partial")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _by_step(folder: Path) -> Iterator[Path]:
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    yield from sorted(found, key=step_of, reverse=True)


def _fault(path: Path) -> str | None:
    """What is not whole about a checkpoint."""
    try:
        files = _read_seal(path).files
    except (OSError, ValidationError):
        return "it is not complete"
    there = {name: digest for name, digest in folder_digests(path).items() if name != _SEAL}
    wrong = sorted(name for name in files.keys() | there.keys() if files.get(name) != there.get(name))
    return f"{', '.join(wrong)}: not as it was written" if wrong else None


def _foreign(path: Path) -> str | None:
    """In what a checkpoint's writer differs from this process."""
    then, now = _read_seal(path).written_by, _writer()
    other = [f"{name} {then.get(name)}, now {now[name]}" for name in now if then.get(name) != now[name]]
    return f"it was written with {'; '.join(other)}" if other else None


def _read_seal(path: Path) -> Seal:
    return Seal.model_validate_json((path / _SEAL).read_bytes())


@cache
def _writer() -> dict[str, str]:
    return {"code": code_digest()[:12], **{name: version(name) for name in _DECIDING}}


def _publish(written: Path, target: Path) -> None:
    if target.exists():  # of a run that went on from an earlier one
        discard(target)
    written.rename(target)
    sync(target.parent)


def _rotate(home: Path, limit: int | None) -> None:
    if limit:
        for old in list(_by_step(home))[limit:]:
            discard(old)


def _sums_name(process: int) -> str:
    """Each process sums up its own losses; what the curves show is the mean of them."""
    return f"sums_{process}.json"


def _fill(target: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            _fill(target[name], value)
        else:
            target[name] = value
