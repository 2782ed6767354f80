"""What each process of `test_several_processes` runs: PPO, and a record of what this process saw and ended with.

python -m torch.distributed.run --nproc-per-node 2 ... BASE OUTPUT [CHECKPOINT]
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from galileu_pipeline.training.backbone import load_tokenizer
from galileu_pipeline_tests.training.ppo.conftest import make_trainer, share_with_an_a


def main(base: Path, output: Path, checkpoint: str | None = None) -> None:
    torch.set_num_threads(1)
    share = share_with_an_a(load_tokenizer(base))
    questions: list[str] = []

    def reward(prompts: Any, answers: Any, ids: Any) -> Any:
        questions.extend(prompt[-1]["content"] for prompt in prompts)
        return share(prompts, answers, ids)

    settings = {"ddp_backend": "gloo", "save_strategy": "steps", "save_steps": 6, "normalize_rewards": True}
    trainer = make_trainer(base, output, reward, per_device_train_batch_size=8, max_steps=12, **settings)
    trainer.train(resume_from_checkpoint=checkpoint)
    rank = trainer.args.process_index
    model: Any = trainer.model
    weights = {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    save_file(weights, output / f"weights_{rank}.safetensors")
    record = {
        "questions": list(questions),
        "rewards": [point["reward"] for point in trainer.state.log_history if "reward" in point],
        "evaluated": len(trainer.sample_answers(trainer.train_dataset)),  # type: ignore[arg-type]
    }
    (output / f"record_{rank}.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
