"""Every setting of every stage does something: another value gives another result, or an error that says why not."""

from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.training.dpo import DpoRecipe
from galileu_pipeline.training.ppo.recipe import PpoRecipe
from galileu_pipeline.training.reward import RewardRecipe
from galileu_pipeline.training.runner import Recipe
from galileu_pipeline.training.sft import SftRecipe
from galileu_pipeline_tests.training.test_stages import run, write_dataset

pytestmark = pytest.mark.slow

RECIPES: dict[str, type[Recipe[Any]]] = {"sft": SftRecipe, "reward": RewardRecipe, "dpo": DpoRecipe, "ppo": PpoRecipe}

# Under these each setting matters: there is a warm-up, gradients are clipped, PPO's KL is steered.
START: dict[str, Any] = {
    "learning_rate": 0.01,
    "epochs": 2.0,
    "batch_size": 4,
    "max_length": 96,
    "max_grad_norm": 0.5,
    "logging_steps": 2,
    "eval_steps": 2,
    "eval_examples": 3,
    "save_steps": 100,
}
START_PPO: dict[str, Any] = {
    **START,
    "batch_size": 8,
    "logging_steps": 1,
    "max_new_tokens": 6,
    "rollout_batch_size": 4,
    "ppo_epochs": 2,
    "kl_target": 0.5,
    "kl_horizon": 20,
    "clip_range": 0.02,
    "value_clip_range": 0.02,
    "reward_clip": 0.5,
    "gamma": 0.9,
}
# To what each setting is changed.
CHANGED: dict[str, Any] = {
    "learning_rate": 0.02,
    "epochs": 1.0,
    "max_steps": 1,
    "batch_size": 2,
    "gradient_accumulation_steps": 2,
    "warmup_ratio": 0.7,
    "lr_scheduler": "constant",
    "weight_decay": 0.5,
    "max_grad_norm": 0.01,
    "logging_steps": 1,
    "eval_steps": 3,
    "eval_examples": 2,
    "center_rewards_coefficient": 0.5,
    "beta": 0.5,
    "label_smoothing": 0.2,
    "max_new_tokens": 4,
    "ppo_epochs": 1,
    "minibatches": 2,
    "temperature": 0.7,
    "kl_coef": 0.5,
    "kl_loss_coef": 0.5,
    "kl_target": 5.0,
    "kl_horizon": 1000,
    "target_kl": 1e-9,
    "gamma": 0.5,
    "lam": 0.1,
    "clip_range": 0.5,
    "value_clip_range": 0.5,
    "value_coef": 1.0,
    "value_model": "reward_model",
    "value_learning_rate": 0.05,
    "missing_eos_penalty": 0.0,
    "normalize_rewards": False,
    "reward_clip": 0.1,
    "logged_answers": 1,
}
# What is said of a value under which nothing can be trained.
REFUSED: dict[str, tuple[Any, str]] = {
    "max_length": (24, "Raise max_length"),
    "min_examples": (1000, "lower min_examples"),
    "max_kl": (1e-9, "nats an answer from its reference"),
}
# How a result is reached, not which: tests of the runner, of memory and of checkpoints look at these.
WAYS = {
    "gradient_checkpointing",
    "eval_batch_size",
    "save_steps",
    "rollout_batch_size",
    "scoring_batch_size",
    "merge_for_rollouts",
    "patience_s",
}
IN_PPO = {"logging_steps": 2, "eval_steps": 1, "eval_examples": 1, "batch_size": 4}


def settings_of(stage: str) -> list[str]:
    return [name for name in RECIPES[stage].settings_type.model_fields if name not in WAYS]


class Trained:
    """What came of a stage under some settings, all of it."""

    def __init__(self, output: Path, metrics: dict[str, object]) -> None:
        files = ("adapter_model.safetensors", "training_log.jsonl", "answers.jsonl")
        self.seen = [metrics, *((output / name).read_bytes() for name in files if (output / name).is_file())]


@pytest.fixture(scope="module")
def bench(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a stage under settings; what is changed from the start is all that differs."""
    folder = tmp_path_factory.mktemp("settings")
    data = write_dataset(folder / "data", questions=20)
    sft, reward = folder / "sft", folder / "reward"
    run(SftRecipe, tiny_base, data / "examples", sft, **START)
    run(RewardRecipe, tiny_base, data / "pairs", reward, adapter=sft, **START)

    def train(stage: str, **changed: Any) -> Trained:
        output = folder / f"{stage}-{'-'.join(changed) or 'start'}"
        settings = {**(START_PPO if stage == "ppo" else START), **changed}
        dataset = data / ("examples" if stage == "sft" else "pairs")
        adapter = None if stage == "sft" else sft
        result = run(RECIPES[stage], tiny_base, dataset, output, adapter=adapter, reward=reward, **settings)
        return Trained(output, result.metrics)

    return train


@pytest.fixture(scope="module")
def at_start(bench: Any) -> dict[str, Trained]:
    return {stage: bench(stage) for stage in RECIPES}


@pytest.mark.parametrize(
    ("stage", "name"), [(stage, name) for stage in RECIPES for name in settings_of(stage) if name not in REFUSED]
)
def test_another_value_gives_another_result(bench: Any, at_start: dict[str, Trained], stage: str, name: str) -> None:
    value = IN_PPO.get(name, CHANGED[name]) if stage == "ppo" else CHANGED[name]
    assert bench(stage, **{name: value}).seen != at_start[stage].seen


@pytest.mark.parametrize(
    ("stage", "name"), [(stage, name) for stage in RECIPES for name in settings_of(stage) if name in REFUSED]
)
def test_what_cannot_be_trained_is_refused(bench: Any, stage: str, name: str) -> None:
    value, told = REFUSED[name]
    with pytest.raises(GalileuError, match=told):
        bench(stage, **{name: value})
