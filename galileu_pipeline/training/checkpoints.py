"""Checkpoints that can be trusted: a killed run goes on from the last one that is whole.

transformers writes a checkpoint in place, file by file, and resumes from the one of the highest number, whole or not.
Here each one is sealed when it is complete, and one without a seal counts as none.
"""

import shutil
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from galileu_pipeline.files import replace_file, sync

KEPT = 2  # the last one, and the one before it while the last is not sealed yet
_SEAL = "complete"


class SealCheckpoints(TrainerCallback):
    """Seals every checkpoint once all its files are on disk."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.barrier()  # every process writes files of its own
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            for path in folder.rglob("*"):
                if path.is_file():
                    sync(path)
            replace_file(folder / _SEAL, "")


def last_checkpoint(folder: Path) -> Path | None:
    """The sealed checkpoint of the highest step, or None. Those without a seal are removed."""
    sealed = []
    for path in folder.glob("checkpoint-*"):
        if (path / _SEAL).is_file():
            sealed.append(path)
        else:
            shutil.rmtree(path)
    return max(sealed, key=lambda path: int(path.name.rsplit("-", 1)[-1]), default=None)
