"""What each process of `test_two_processes` runs, and a record of what this process saw and ended with.

python -m torch.distributed.run --nproc-per-node 2 ... BASE OUTPUT
"""

import errno
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from galileu_pipeline.loading import loading

with loading():  # twice at once: it is most of what the tests wait for
    import pytest
    import torch
    from safetensors.torch import save_file

    from galileu_pipeline.training import checkpoints
    from galileu_pipeline.training.backbone import load_tokenizer
    from galileu_pipeline_tests.training.ppo.conftest import make_trainer as make_ppo_trainer
    from galileu_pipeline_tests.training.ppo.conftest import share_with_an_a
    from galileu_pipeline_tests.training.test_checkpoints import make_trainer


def main(base: Path, output: Path) -> None:
    torch.set_num_threads(1)
    whole = ppo(base, output / "ppo")
    resumed = ppo(base, output / "ppo_resumed", output / "ppo" / "checkpoint-6")  # in the middle of an update
    record = {"whole": whole, "resumed": resumed, "writers": writers(output)}
    (output / f"record_{torch.distributed.get_rank()}.json").write_text(json.dumps(record))


def ppo(base: Path, output: Path, checkpoint: Path | None = None) -> dict[str, Any]:
    """A training with PPO; the weights go beside its checkpoints."""
    share = share_with_an_a(load_tokenizer(base))
    questions: list[str] = []

    def reward(prompts: Any, answers: Any, ids: Any) -> Any:
        questions.extend(prompt[-1]["content"] for prompt in prompts)
        return share(prompts, answers, ids)

    settings = {"ddp_backend": "gloo", "save_strategy": "steps", "save_steps": 6, "normalize_rewards": True}
    trainer = make_ppo_trainer(base, output, reward, per_device_train_batch_size=8, max_steps=12, **settings)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model: Any = trainer.model
    weights = {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    save_file(weights, output / f"weights_{trainer.args.process_index}.safetensors")
    return {
        "questions": list(questions),
        "rewards": [point["reward"] for point in trainer.state.log_history if "reward" in point],
        "evaluated": len(trainer.sample_answers(trainer.train_dataset)),  # type: ignore[arg-type]
    }


def writers(output: Path) -> dict[str, Any]:
    """Trainings that write checkpoints, go on from one, and cannot write any."""
    whole = make_trainer(output / "whole", logging_steps=4, save_total_limit=None, ddp_backend="gloo")
    whole.train()
    resumed = make_trainer(output / "resumed", logging_steps=4, ddp_backend="gloo")
    resumed.train(resume_from_checkpoint=str(output / "whole" / "checkpoint-2"))
    return {
        "whole": [point["loss"] for point in whole.state.log_history if "loss" in point],
        "resumed": [point["loss"] for point in resumed.state.log_history if "loss" in point],
        "failures": [fail(output / writer, writer) for writer in ("torch_save", "seal", "publish")],
    }


def fail(folder: Path, writer: str) -> str:
    """What a training ends with whose first process cannot write."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.rmtree(folder, ignore_errors=True)
    trainer = make_trainer(folder, ddp_backend="gloo")
    with pytest.MonkeyPatch.context() as patch:
        if trainer.args.process_index == 0:
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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
