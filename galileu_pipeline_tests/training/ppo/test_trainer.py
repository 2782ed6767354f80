"""PPO as a whole, on a small model and a reward that can be said in a line."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase, TrainerCallback

from galileu_pipeline.errors import DivergedError
from galileu_pipeline.training.ppo import ANSWERS_NAME, PPOConfig, PPOTrainer
from galileu_pipeline.training.ppo.prompts import RolloutSampler
from galileu_pipeline_tests.training.ppo.conftest import make_policy, make_trainer, prompts, share_with_an_a

pytestmark = pytest.mark.slow

# Nats a token: more than rounding makes of a KL of zero. exp(d) - 1 - d of 32-bit floats is off by up to 6e-8, and
# log-probabilities of 8 nats that differ by 1e-4 of that make 3e-7.
ROUNDING_KL = 1e-6

# With it everything is learnt within 30 steps, whatever the seed; with half of it only within 100.
FAST = 1e-2


def curve(trainer: PPOTrainer, name: str) -> list[float]:
    return [point[name] for point in trainer.state.log_history if name in point]


def trained(trainer: PPOTrainer) -> dict[str, torch.Tensor]:
    model: Any = trainer.model
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def assert_equal_weights(first: PPOTrainer, second: PPOTrainer) -> None:
    mine, theirs = trained(first), trained(second)
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        assert torch.equal(weight, theirs[name]), name


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_reward_rises_to_nine_tenths_of_the_best(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, seed: int
) -> None:
    trainer = make_trainer(base, tmp_path, share_with_an_a(tokenizer), seed=seed, max_steps=56, learning_rate=FAST)
    start = trainer.evaluate(prompts())
    trainer.train()
    end = trainer.evaluate(prompts())
    print(f"seed {seed}: reward {start['eval_reward']:.3f} -> {end['eval_reward']:.3f}, KL {end['eval_kl']:.1f} nats")
    assert start["eval_reward"] < 0.2
    assert start["eval_kl"] == 0
    assert end["eval_reward"] >= 0.9


def test_in_bf16_it_learns_too(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    trainer = make_trainer(base, tmp_path, share_with_an_a(tokenizer), bf16=True, max_steps=32, learning_rate=FAST)
    trainer.train()
    rewards = curve(trainer, "reward")
    assert rewards[-1] > rewards[0] + 0.3
    assert {weight.dtype for weight in trained(trainer).values()} == {torch.float32}


def test_with_a_high_kl_coefficient_the_policy_stays_at_the_reference(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trainer = make_trainer(
        base, tmp_path, share_with_an_a(tokenizer), max_steps=80, kl_coef=5.0, learning_rate=5e-4, target_kl=None
    )
    trainer.train()
    end = trainer.evaluate(prompts())
    assert abs(end["eval_kl"]) < 0.5  # of the 30 to 60 nats it takes to win the reward
    assert end["eval_reward"] < 0.2


@pytest.mark.parametrize(("offset", "seed"), [(10.0, 0), (10.0, 1), (10.0, 2), (-300.0, 0)])
def test_a_constant_added_to_the_reward_changes_nothing(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, offset: float, seed: int
) -> None:
    """A Bradley-Terry reward has no zero of its own."""
    share = share_with_an_a(tokenizer)

    def rewards(offset: float) -> list[float]:
        trainer = make_trainer(
            base,
            tmp_path / str(offset),
            lambda prompts, answers, ids: [reward + offset for reward in share(prompts, answers, ids)],
            seed=seed,
            per_device_train_batch_size=8,
            max_steps=16,
        )
        trainer.train()
        return [reward - offset for reward in curve(trainer, "reward")]

    assert rewards(offset) == pytest.approx(rewards(0.0), abs=1e-4)


def test_a_kl_loss_holds_the_policy_back(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    def distance(kl_loss_coef: float) -> float:
        trainer = make_trainer(
            base, tmp_path, share_with_an_a(tokenizer), max_steps=12, kl_coef=0.0, kl_loss_coef=kl_loss_coef
        )
        trainer.train()
        return curve(trainer, "kl_k3")[-1]

    assert distance(10.0) < distance(0.0) / 3


def test_an_adaptive_coefficient_holds_the_kl_at_its_target(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trainer = make_trainer(
        base,
        tmp_path,
        share_with_an_a(tokenizer),
        max_steps=160,
        kl_coef=0.05,
        kl_target=3.0,
        kl_horizon=32,
        learning_rate=2e-3,
        lr_scheduler_type="constant",
    )
    trainer.train()
    last = curve(trainer, "kl")[-15:]
    assert 1.5 < sum(last) / len(last) < 6.0
    assert curve(trainer, "kl_coef")[-1] > 0.05


def test_the_answers_first_update_starts_where_they_were_sampled(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Sampling, scoring and training agree on the log-probabilities, whatever the padding."""
    trainer = make_trainer(base, tmp_path, share_with_an_a(tokenizer), max_steps=1, per_device_train_batch_size=8)
    trainer.train()
    assert curve(trainer, "approx_kl") == [pytest.approx(0, abs=ROUNDING_KL)]
    assert curve(trainer, "clip_fraction") == [0.0]


def test_how_a_minibatch_is_cut_does_not_matter(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    def run(name: str, size: int, accumulation: int) -> PPOTrainer:
        trainer = make_trainer(
            base,
            tmp_path / name,
            share_with_an_a(tokenizer),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            num_minibatches=2,
            learning_rate=1e-3,
            max_steps=8,
        )
        trainer.train()
        return trainer

    whole, cut = run("whole", 16, 1), run("cut", 4, 4)
    assert curve(cut, "policy_loss") == pytest.approx(curve(whole, "policy_loss"), abs=1e-4)
    assert curve(cut, "value_loss") == pytest.approx(curve(whole, "value_loss"), abs=1e-4)
    assert curve(cut, "reward") == pytest.approx(curve(whole, "reward"))


class _CrashError(Exception):
    """Stands for a crash."""


class _CrashAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise _CrashError


@pytest.mark.parametrize(("save_steps", "crash_at", "logging_steps"), [(8, 13, 1), (3, 10, 1), (6, 7, 5)])
def test_a_resumed_run_ends_like_one_never_interrupted(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, save_steps: int, crash_at: int, logging_steps: int
) -> None:
    """Checkpoints between two rollouts, in the middle of an update, and between two points of the curves."""
    settings: dict[str, Any] = {
        "max_steps": 16,
        "num_minibatches": 2,
        "num_ppo_epochs": 2,
        "per_device_train_batch_size": 8,
        "normalize_rewards": True,
        "kl_target": 1.0,
        "save_strategy": "steps",
        "save_steps": save_steps,
        "logging_steps": logging_steps,
    }
    reward = share_with_an_a(tokenizer)
    whole = make_trainer(base, tmp_path / "whole", reward, **settings)
    whole.train()

    crashed = make_trainer(base, tmp_path / "crashed", reward, callbacks=[_CrashAt(crash_at)], **settings)
    with pytest.raises(_CrashError):
        crashed.train()
    resumed = make_trainer(base, tmp_path / "crashed", reward, **settings)
    resumed.train(resume_from_checkpoint=True)

    assert_equal_weights(whole, resumed)
    assert resumed.kl_controller == whole.kl_controller
    for name in ("reward", "policy_loss", "skipped"):
        assert curve(resumed, name) == curve(whole, name)
    assert (tmp_path / "crashed" / ANSWERS_NAME).read_text() == (tmp_path / "whole" / ANSWERS_NAME).read_text()


def test_past_the_target_kl_the_rest_of_an_update_is_left_out(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trainer = make_trainer(base, tmp_path, share_with_an_a(tokenizer), max_steps=4, target_kl=ROUNDING_KL)
    trainer.train()
    # The first step is taken; what it did is seen in the second, which is dropped like the two after it.
    assert curve(trainer, "skipped") == [0.0, 1.0, 1.0, 1.0]
    alone = make_trainer(base, tmp_path, share_with_an_a(tokenizer), max_steps=4, num_ppo_epochs=4, target_kl=None)
    alone.add_callback(_CrashAt(1))
    with pytest.raises(_CrashError):
        alone.train()
    assert_equal_weights(trainer, alone)


def test_the_sampled_answers_are_kept_for_people_to_read(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trainer = make_trainer(base, tmp_path, share_with_an_a(tokenizer), max_steps=8, logged_answers=3)
    trainer.train()
    with (tmp_path / ANSWERS_NAME).open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert [line["step"] for line in lines] == [0, 0, 0, 4, 4, 4]
    assert all(line["prompt"].endswith("?") and line["tokens"] > 0 for line in lines)


def test_the_penalty_for_no_end_token_teaches_to_end(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trainer = make_trainer(
        *(base, tmp_path, lambda prompts, answers, ids: [0.0] * len(ids)),
        max_steps=32,
        learning_rate=FAST,
        missing_eos_penalty=1.0,
    )
    trainer.train()
    assert curve(trainer, "ended")[0] < 0.3
    assert curve(trainer, "ended")[-1] > 0.9
    assert curve(trainer, "reward")[-1] == 0.0  # as the reward model gives it, without the penalty


def test_every_metric_is_logged(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    trainer = make_trainer(base, tmp_path, share_with_an_a(tokenizer), max_steps=4, logging_steps=4)
    trainer.train()
    names = (
        *("reward", "kl", "kl_coef", "entropy", "answer_length", "ended", "policy_loss", "value_loss"),
        *(
            "kl_k3",
            "kl_loss",
            "clip_fraction",
            "value_clip_fraction",
            "approx_kl",
            "explained_variance",
            "skipped",
            "loss",
        ),
    )
    for name in names:
        (value,) = curve(trainer, name)
        assert math.isfinite(value), name


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_no_number_stops_the_training(base: Path, tmp_path: Path, bad: float) -> None:
    trainer = make_trainer(base, tmp_path, lambda prompts, answers, ids: [0.0] * (len(ids) - 1) + [bad])
    with pytest.raises(DivergedError, match=r"The reward of the answer to '\d+\?'.*There is no checkpoint yet"):
        trainer.train()


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    class Spoil(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == 8:
                with torch.no_grad():
                    next(p for p in model.parameters() if p.requires_grad).fill_(math.nan)

    trainer = make_trainer(
        base, tmp_path, share_with_an_a(tokenizer), callbacks=[Spoil()], save_strategy="steps", save_steps=4
    )
    with pytest.raises(DivergedError, match=r"not finite.*last good checkpoint is .*checkpoint-4"):
        trainer.train()
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-4"]


def test_too_far_from_the_reference_is_an_error_that_keeps_the_last_good_checkpoint(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    trainer = make_trainer(
        *(base, tmp_path, share_with_an_a(tokenizer)),
        max_steps=120,
        learning_rate=FAST,
        max_kl=10.0,
        save_strategy="steps",
        save_steps=2,
    )
    with pytest.raises(DivergedError, match=r"nats an answer from its reference, of 10\.0 allowed") as error:
        trainer.train()
    failed_at = trainer.state.global_step
    (tmp_path / f"diverged-{failed_at}").rename(tmp_path / f"checkpoint-{failed_at}")
    (tmp_path / f"diverged-{failed_at}").mkdir()
    (tmp_path / f"diverged-{failed_at}" / "left").touch()
    trainer._diverged("Again, where an earlier run left its own.")
    good = max(int(path.name.split("-")[1]) for path in tmp_path.glob("checkpoint-*"))
    assert good == failed_at - 4  # where the rollout before was in order
    assert f"checkpoint-{good}" in str(error.value)
    assert sorted(path.name for path in tmp_path.glob("diverged-*")) == sorted(
        [f"diverged-{failed_at - 2}", f"diverged-{failed_at}"]
    )


def test_prompts_must_be_conversations(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    config = PPOConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none")
    reward = share_with_an_a(tokenizer)
    rows = [{"prompt": [{"role": "user", "content": "Oi"}]}, {"prompt": [{"text": "Oi"}]}]
    with pytest.raises(ValueError, match="Row 1: `prompt` must be a list of messages"):
        PPOTrainer(make_policy(base), reward, config, Dataset.from_list(rows), tokenizer)
    with pytest.raises(ValueError, match="no column `prompt`"):
        PPOTrainer(make_policy(base), reward, config, Dataset.from_list([{"input_ids": [1]}]), tokenizer)
    config.max_prompt_length = 3
    with pytest.raises(ValueError, match="All 32 prompts are longer than max_prompt_length=3"):
        PPOTrainer(make_policy(base), reward, config, prompts(), tokenizer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip_range": 0.0},
        {"lam": 1.5},
        {"kl_coef": -1.0},
        {"kl_target": 1.0, "kl_coef": 0.0},
        {"fp16": True},
        {"kl_loss_coef": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="PPOConfig"):
        PPOConfig(str(tmp_path), report_to="none", **wrong)


@given(
    prompt_count=st.integers(1, 40), answers=st.integers(1, 16), repetitions=st.integers(1, 4), epoch=st.integers(0, 3)
)
def test_every_prompt_is_answered_in_every_epoch(prompt_count: int, answers: int, repetitions: int, epoch: int) -> None:
    sampler = RolloutSampler(prompt_count, answers=answers, repetitions=repetitions, seed=3)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(sampler)
    lots = [order[start : start + answers] for start in range(0, len(order), answers)]
    for first in range(0, len(lots), repetitions):
        assert all(lot == lots[first] for lot in lots[first : first + repetitions])
    counts = Counter(row for lot in lots[::repetitions] for row in lot)
    assert set(counts) == set(range(prompt_count))
    assert max(counts.values()) - min(counts.values()) <= 1
