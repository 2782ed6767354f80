"""One PPO run that `ppo_beside_trl.py` compares: by TRL's last PPOTrainer, or by this project's.

python benchmarks/ppo_side.py trl '{"base": ..., "seed": 0, ...}'

The last line it prints is JSON: `curve` (reward and KL of every rollout), `seconds` in `train()`, and
`peak_mib`, the most memory the process held in it beyond what it held before.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, set_seed


def main(side: str, job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["base"], padding_side="left")
    with TemporaryDirectory() as output:
        set_seed(job["seed"])
        if side == "trl":
            trainer = trl_trainer(job, tokenizer, output)
        else:
            trainer = our_trainer(job, tokenizer, output, shared_value_model=side == "shared")
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts from here
        before, start = resident("VmRSS"), time.perf_counter()
        trainer.train()
        seconds, peak = time.perf_counter() - start, resident("VmHWM") - before
    reward, kl = ("objective/scores", "objective/kl") if side == "trl" else ("reward", "kl")
    curve = [(point[reward], point[kl]) for point in trainer.state.log_history if reward in point]
    print(json.dumps({"curve": curve, "seconds": seconds, "peak_mib": peak}))


def resident(name: str) -> float:
    """VmRSS or VmHWM of this process, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}")


def models(job: dict[str, Any]) -> tuple[Any, Any, LoraConfig]:
    """The policy, the value model (a network of its own, all of it trained) and the policy's adapter."""
    policy = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    value_model = AutoModelForSequenceClassification.from_pretrained(job["base"], num_labels=1, dtype=torch.float32)
    nn.init.zeros_(value_model.score.weight)
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    return policy, value_model, lora


def conversations(job: dict[str, Any]) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": question}] for question in job["questions"]]


def tokens_with_an_a(tokenizer: Any) -> torch.Tensor:
    """The reward is the share of an answer's tokens, the end token included, that have the letter a in them."""
    return torch.tensor([float("a" in tokenizer.decode(token)) for token in range(len(tokenizer))])


def trl_trainer(job: dict[str, Any], tokenizer: Any, output: str) -> Any:
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    policy, value_model, lora = models(job)
    ids = [
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        for messages in conversations(job)
    ]
    (prompt_tokens,) = {len(row) for row in ids}  # the reward below counts from the same token in each
    config = PPOConfig(
        output_dir=output,
        per_device_train_batch_size=job["micro_batch"],
        gradient_accumulation_steps=job["answers"] // job["micro_batch"],
        local_rollout_forward_batch_size=job["rollout_batch"],
        total_episodes=job["rollouts"] * job["answers"],
        response_length=job["new_tokens"],
        cliprange=job["clip_range"],
        cliprange_value=job["clip_range"],
        vf_coef=job["value_coef"],
        stop_token="eos",
        kl_estimator="k1",
        num_sample_generations=0,
        num_mini_batches=1,
        **common(job),
    )
    return PPOTrainer(
        config,
        tokenizer,
        policy,
        None,
        TrlReward(tokens_with_an_a(tokenizer), prompt_tokens),
        Dataset.from_dict({"input_ids": ids}),
        value_model,
        eval_dataset=Dataset.from_dict({"input_ids": ids}),
        peft_config=lora,
    )


class TrlReward(nn.Module):
    """The reward as TRL wants it: a trunk, and a head that gives a number at every token of a (B, L) batch."""

    base_model_prefix = "trunk"

    def __init__(self, has_a_V: torch.Tensor, prompt_tokens: int) -> None:
        super().__init__()
        self.score = nn.Identity()
        self.trunk = _ShareSoFar(has_a_V, prompt_tokens)


class _ShareSoFar(nn.Module):
    def __init__(self, has_a_V: torch.Tensor, prompt_tokens: int) -> None:
        super().__init__()
        self.has_a_V, self.prompt_tokens = has_a_V, prompt_tokens

    def forward(self, input_ids: torch.Tensor, **_: Any) -> SimpleNamespace:
        hits_BT = self.has_a_V[input_ids[:, self.prompt_tokens :]]
        share_BT = hits_BT.cumsum(1) / torch.arange(1, hits_BT.shape[1] + 1)
        share_BL = nn.functional.pad(share_BT, (self.prompt_tokens, 0))
        return SimpleNamespace(hidden_states=[share_BL[..., None]])


def our_trainer(job: dict[str, Any], tokenizer: Any, output: str, *, shared_value_model: bool) -> Any:
    from peft import get_peft_model

    from galileu_pipeline.training.ppo import PPOConfig, PPOTrainer, ValueModel

    policy, value_model, lora = models(job)
    has_a_V = tokens_with_an_a(tokenizer)
    config = PPOConfig(
        output_dir=output,
        per_device_train_batch_size=job["micro_batch"],
        gradient_accumulation_steps=job["answers"] // job["micro_batch"],
        per_device_rollout_batch_size=job["rollout_batch"],
        per_device_scoring_batch_size=job["rollout_batch"],
        max_steps=job["rollouts"] * job["num_ppo_epochs"],
        logging_steps=job["num_ppo_epochs"],
        max_completion_length=job["new_tokens"],
        clip_range=job["clip_range"],
        value_clip_range=job["clip_range"],
        value_coef=job["value_coef"],
        max_grad_norm=0,  # TRL's does not clip gradients, nor stop an update early
        normalize_rewards=False,
        value_learning_rate=job["learning_rate"],
        target_kl=None,
        logged_answers=0,
        **common(job),
    )
    return PPOTrainer(
        get_peft_model(policy, lora),
        lambda prompts, answers, ids: [float(has_a_V[row].mean()) for row in ids],
        config,
        Dataset.from_dict({"prompt": conversations(job)}),
        tokenizer,
        value_model=None if shared_value_model else ValueModel.from_classifier(value_model),
    )


def common(job: dict[str, Any]) -> dict[str, Any]:
    """Settings of the same name and meaning on both sides."""
    return {
        **{name: job[name] for name in ("seed", "learning_rate", "num_ppo_epochs", "kl_coef", "gamma", "lam")},
        "missing_eos_penalty": 0.0,
        "temperature": 1.0,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
