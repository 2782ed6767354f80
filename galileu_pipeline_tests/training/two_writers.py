"""What each process of `test_checkpoints` with two of them runs; its record goes beside the checkpoints.

python -m torch.distributed.run --nproc-per-node 2 ... FOLDER
"""

import errno
import json
import shutil
import sys
from pathlib import Path

import pytest

from galileu_pipeline.training import checkpoints
from galileu_pipeline_tests.training.test_checkpoints import make_trainer


def main(folder: Path) -> None:
    whole = make_trainer(folder / "whole", logging_steps=4, save_total_limit=None, ddp_backend="gloo")
    whole.train()
    resumed = make_trainer(folder / "resumed", logging_steps=4, ddp_backend="gloo")
    resumed.train(resume_from_checkpoint=str(folder / "whole" / "checkpoint-2"))
    rank = whole.args.process_index
    record = {
        "whole": [point["loss"] for point in whole.state.log_history if "loss" in point],
        "resumed": [point["loss"] for point in resumed.state.log_history if "loss" in point],
        "failures": [fail(folder / writer, writer, rank) for writer in ("torch_save", "seal", "publish")],
    }
    (folder / f"record_{rank}.json").write_text(json.dumps(record))


def fail(folder: Path, writer: str, rank: int) -> str:
    """What a training ends with whose first process cannot write."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.rmtree(folder, ignore_errors=True)
    trainer = make_trainer(folder, ddp_backend="gloo")
    with pytest.MonkeyPatch.context() as patch:
        if rank == 0:
            if writer == "torch_save":
                patch.setattr("torch.save", full)
            else:
                patch.setattr(checkpoints, {"seal": "seal", "publish": "_publish"}[writer], full)
        try:
            trainer.train()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return "nothing"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
