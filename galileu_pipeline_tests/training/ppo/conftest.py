"""A small policy that PPO can teach something in seconds."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, PrinterCallback, set_seed

from galileu_pipeline.training.backbone import load_tokenizer
from galileu_pipeline.training.ppo import PPOConfig, PPOTrainer, RewardFunction
from galileu_pipeline_tests.training.conftest import build_tiny


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough that one token can be made nearly certain."""
    return build_tiny(tmp_path_factory.mktemp("ppo") / "base", hidden_size=128)


@pytest.fixture(scope="session")
def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(base)


def make_policy(base: Path, seed: int = 0) -> PeftModel:
    set_seed(seed)
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)


def prompts(count: int = 32) -> Dataset:
    return Dataset.from_list([{"prompt": [{"role": "user", "content": f"{n}?"}]} for n in range(count)])


def share_with_an_a(tokenizer: PreTrainedTokenizerBase) -> RewardFunction:
    """The reward: the share of an answer's tokens that contain the letter a. The best possible is 1."""

    def reward(questions: Any, answers: Any, answer_ids: Any) -> list[float]:
        return [sum("a" in tokenizer.decode(token) for token in ids) / len(ids) for ids in answer_ids]

    return reward


def make_trainer(
    base: Path,
    output: Path,
    reward: Any,
    *,
    policy: PeftModel | None = None,
    reward_tokenizer: PreTrainedTokenizerBase | None = None,
    eval_prompts: Dataset | None = None,
    callbacks: Any = None,
    **settings: Any,
) -> PPOTrainer:
    arguments = {
        "per_device_train_batch_size": 32,
        "num_ppo_epochs": 4,
        "learning_rate": 5e-3,
        "max_completion_length": 12,
        "kl_coef": 0.001,
        "missing_eos_penalty": 0.0,
        "max_steps": 8,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        **settings,
    }
    config = PPOConfig(str(output), **arguments)
    model = policy or make_policy(base, config.seed)
    tokenizer = load_tokenizer(base)
    trainer = PPOTrainer(
        model,
        reward,
        config,
        prompts(),
        tokenizer,
        eval_dataset=eval_prompts,
        reward_processing_class=reward_tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
