"""What cannot be trained is refused, and what goes wrong in one process ends all of them."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, GPT2Config, GPT2Model, LlamaConfig, LlamaModel, PreTrainedTokenizerBase

from galileu_pipeline.errors import ArgumentError, DivergedError, StageError
from galileu_pipeline.training import processes as processes_module
from galileu_pipeline.training.ppo import PPOConfig
from galileu_pipeline.training.ppo.networks import disable_dropout
from galileu_pipeline.training.processes import Processes
from galileu_pipeline_tests.training.ppo.conftest import make_policy, make_trainer, prompts, share_with_an_a

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"per_device_train_batch_size": 4, "max_completion_length": 4, "max_steps": 4}


def nothing(questions: Any, answers: Any, ids: Any) -> list[float]:
    return [0.0] * len(ids)


@pytest.mark.parametrize("form", ["frozen adapter", "frozen model"])
def test_a_policy_with_nothing_to_train_is_refused(base: Path, tmp_path: Path, form: str) -> None:
    if form == "frozen adapter":
        make_policy(base).save_pretrained(tmp_path / "adapter")
        policy: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
    else:
        policy = AutoModelForCausalLM.from_pretrained(base).requires_grad_(False)
    with pytest.raises(ArgumentError, match=r"nothing to train.*is_trainable=True"):
        make_trainer(base, tmp_path, nothing, policy=policy, **SHORT)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda ids: [1.0],
        lambda ids: [0.0] * (len(ids) - 1),
        lambda ids: [0.0] * (len(ids) + 1),
        lambda ids: [],
        lambda ids: 1.0,
        lambda ids: None,
        lambda ids: [None] * len(ids),
        lambda ids: torch.zeros(1),
        lambda ids: torch.zeros(len(ids), 2),
        lambda ids: np.zeros((1, len(ids))),
    ],
)
def test_another_number_of_rewards_than_answers_is_refused(
    base: Path, tmp_path: Path, wrong: Callable[[Any], Any]
) -> None:
    trainer = make_trainer(base, tmp_path, lambda questions, answers, ids: wrong(ids), **SHORT)
    with pytest.raises(ArgumentError, match="one number an answer"):
        trainer.sample_answers(prompts(4))


@pytest.mark.parametrize("form", [list, np.array, torch.tensor, lambda rewards: torch.tensor(rewards)[:, None]])
def test_rewards_may_come_as_any_sequence_of_numbers(base: Path, tmp_path: Path, form: Any) -> None:
    trainer = make_trainer(base, tmp_path, lambda questions, answers, ids: form([0.5, 1.5, -1.0]), **SHORT)
    assert [answer.reward for answer in trainer.sample_answers(prompts(3))] == [0.5, 1.5, -1.0]


@pytest.mark.parametrize("max_grad_norm", [0.0, 1.0])
@pytest.mark.parametrize("network", ["policy", "value_model"])
def test_a_gradient_that_is_no_number_stops_the_training(
    base: Path, tmp_path: Path, max_grad_norm: float, network: str
) -> None:
    trainer = make_trainer(base, tmp_path, nothing, max_grad_norm=max_grad_norm, **SHORT)
    parameter = next(p for p in getattr(trainer, network).parameters() if p.requires_grad)
    parameter.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(DivergedError, match="norm of the gradient became nan"):
        trainer.train()


def test_the_gradients_of_policy_and_value_model_are_clipped_apart(base: Path, tmp_path: Path) -> None:
    trainer = make_trainer(base, tmp_path, nothing, max_grad_norm=0.5, **SHORT)
    for network, size in ((trainer.policy, 0.001), (trainer.value_model, 100.0)):
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, size) if parameter.requires_grad else None
    before = _norm(trainer.policy)
    assert before < 0.5
    whole = math.hypot(before, _norm(trainer.value_model))
    assert trainer._clip_grad_norm(trainer.model) == pytest.approx(whole)
    assert _norm(trainer.policy) == before
    assert _norm(trainer.value_model) == pytest.approx(0.5, rel=1e-4)


def _norm(network: Any) -> float:
    """Of its gradient."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return float(torch.stack([gradient.norm() for gradient in gradients]).norm())


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({"learning_rate": 1e-5}, 1e-4),
        ({"learning_rate": 1e-3}, 5e-3),
        ({"learning_rate": 0.01}, 0.01),
        ({"learning_rate": 0.01, "value_learning_rate": 0.002}, 0.002),
    ],
)
def test_the_value_model_has_a_rate_of_its_own(
    base: Path, tmp_path: Path, given: dict[str, float], rate: float
) -> None:
    trainer = make_trainer(base, tmp_path, nothing, **given, **SHORT)
    rates = {
        id(parameter): group["lr"] for group in trainer.create_optimizer().param_groups for parameter in group["params"]
    }
    assert {rates[id(p)] for p in trainer.policy.parameters() if p.requires_grad} == {given["learning_rate"]}
    assert {rates[id(p)] for p in trainer.value_model.parameters() if p.requires_grad} == {rate}


@pytest.mark.parametrize(
    "network",
    [
        LlamaModel(
            LlamaConfig(
                vocab_size=8,
                hidden_size=8,
                intermediate_size=8,
                num_hidden_layers=1,
                num_attention_heads=2,
                attention_dropout=0.5,
            )
        ),
        GPT2Model(GPT2Config(vocab_size=8, n_embd=8, n_layer=1, n_head=2, attn_pdrop=0.5, resid_pdrop=0.5)),
        torch.nn.TransformerEncoderLayer(8, 2, 8, dropout=0.5, batch_first=True),
        torch.nn.Sequential(torch.nn.AlphaDropout(0.5), torch.nn.Dropout1d(0.5)),
    ],
    ids=["attention_dropout", "layers", "attention layer", "other layers"],
)
def test_dropout_is_off_wherever_it_is_kept(network: torch.nn.Module) -> None:
    disable_dropout(network.train())
    if isinstance(network, LlamaModel | GPT2Model):
        ids = torch.arange(8)[None]
        first, second = (network(input_ids=ids).last_hidden_state for _ in range(2))
    else:
        numbers = torch.ones(1, 4, 8)
        first, second = network(numbers), network(numbers)
    assert torch.equal(first, second)


def test_a_checkpoint_of_another_shape_of_rollout_is_refused(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    reward = share_with_an_a(tokenizer)
    settings = {**SHORT, "num_ppo_epochs": 2, "num_minibatches": 2, "save_strategy": "steps", "save_steps": 3}
    make_trainer(base, tmp_path, reward, **settings).train()
    for changed in ({"num_ppo_epochs": 4}, {"num_minibatches": 1}, {"per_device_train_batch_size": 2}):
        other = make_trainer(base, tmp_path, reward, **{**settings, **changed})
        with pytest.raises(ArgumentError, match=r"written with num_ppo_epochs=2, num_minibatches=2, .*; now there are"):
            other.train(resume_from_checkpoint=True)


def test_the_best_model_is_loaded_at_the_end(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    trainer = make_trainer(
        base,
        tmp_path,
        share_with_an_a(tokenizer),
        **{**SHORT, "num_ppo_epochs": 1, "save_strategy": "steps", "save_steps": 1},
        eval_prompts=prompts(4),
        eval_strategy="steps",
        eval_steps=1,
        load_best_model_at_end=True,
    )
    judged = iter([0.1, 0.9, 0.2, 0.3])
    evaluate = trainer.evaluate
    trainer.evaluate = lambda *args, **options: {**evaluate(*args, **options), "eval_reward": next(judged)}  # type: ignore[method-assign]
    trainer.train()
    assert trainer.state.best_global_step == 2
    assert trainer.state.best_model_checkpoint == str(tmp_path / "checkpoint-2")
    assert_weights_are_those_of(trainer, tmp_path / "checkpoint-2")


def assert_weights_are_those_of(trainer: Any, checkpoint: Path) -> None:
    trained = [p.detach().clone() for p in trainer.model.parameters() if p.requires_grad]
    trainer._load_weights(checkpoint)
    again = [p for p in trainer.model.parameters() if p.requires_grad]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(trained, again, strict=True))


def test_the_best_checkpoint_must_not_be_deleted(tmp_path: Path) -> None:
    options: Any = {"eval_strategy": "steps", "save_strategy": "steps", "report_to": "none"}
    with pytest.raises(ValueError, match="leave save_total_limit out"):
        PPOConfig(str(tmp_path), load_best_model_at_end=True, save_total_limit=2, **options)


class _SecondOfTwo(Processes):
    """What the second of two processes sees."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(num_processes=2, process_index=1))  # type: ignore[arg-type]


def test_what_fails_in_another_process_fails_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def gather(items: list[Any]) -> list[Any]:
        told.extend(items)
        return ["Process 0 failed: ValueError: no reward", *items]

    monkeypatch.setattr(processes_module, "gather_object", gather)
    with pytest.raises(StageError, match="Process 0 failed: ValueError: no reward"):
        _SecondOfTwo().together(lambda: 1)
    with pytest.raises(ZeroDivisionError):
        _SecondOfTwo().together(lambda: 1 // 0)
    assert told[0] is None
    assert told[1].startswith("Process 1 failed: ZeroDivisionError: ")


def test_what_goes_well_everywhere_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes_module, "gather_object", lambda items: [None, *items])
    assert _SecondOfTwo().together(lambda: 7) == 7
    assert _SecondOfTwo().first(None) is None
    assert _SecondOfTwo().first("a loss that is no number") == "a loss that is no number"
