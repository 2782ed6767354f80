"""The reward is that of what the policy sampled, token by token."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from galileu_pipeline.training.classifier import read_at_the_end
from galileu_pipeline.training.encoding import control_ids, encode_answer, encode_prompt
from galileu_pipeline.training.ppo.networks import answer_logprobs
from galileu_pipeline.training.ppo.rewards import ClassifierReward, TextClassifierReward, same_tokens
from galileu_pipeline.training.ppo.sampling import Sampler
from galileu_pipeline.training.scoring import answer_rewards
from galileu_pipeline_tests.training.closeness import about
from galileu_pipeline_tests.training.ppo.conftest import make_policy, make_trainer, prompts

PROMPT = [{"role": "user", "content": "Quem é você?"}]
TEXT = "Sou Galileu."


@pytest.fixture(scope="module")
def classifier(base: Path, tokenizer: PreTrainedTokenizerBase) -> Any:
    torch.manual_seed(0)
    pad = tokenizer.pad_token_id
    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, pad_token_id=pad)
    return read_at_the_end(plain).eval()


@pytest.fixture(scope="module")
def other_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same vocabulary under another template: what was sampled does not say what this one would make of it."""
    other = copy.deepcopy(tokenizer)
    other.chat_template = str(tokenizer.chat_template).replace("\n", " ")
    return other


def answers_of_one_text(tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """They read the same without special tokens."""
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    return {
        "ended": [*ids, end],
        "open": ids,
        "with a turn inside": [*ids[:2], start, *ids[2:], end],
        "with turns everywhere": [token for id in ids for token in (id, start)] + [end],
        "with another end": [*ids, tokenizer.convert_tokens_to_ids("<|endoftext|>")],
    }


def test_answers_of_one_text_but_other_tokens_have_other_rewards(
    classifier: Any, tokenizer: PreTrainedTokenizerBase
) -> None:
    sampled = answers_of_one_text(tokenizer)
    count = len(sampled)
    rewards = ClassifierReward(classifier, tokenizer, 2)([PROMPT] * count, [TEXT] * count, list(sampled.values()))
    assert len({round(reward, 5) for reward in rewards}) == count
    prompt_ids = encode_prompt(tokenizer, PROMPT)
    for reward, ids in zip(rewards, sampled.values(), strict=True):
        with torch.no_grad():
            alone = classifier(input_ids=torch.tensor([prompt_ids + ids])).logits.item()
        assert reward == about(alone)


def test_a_sampled_answer_has_the_reward_of_the_same_answer_in_a_dataset(
    classifier: Any, tokenizer: PreTrainedTokenizerBase
) -> None:
    """The template ends a turn with a line break that no policy samples."""
    (sampled,) = ClassifierReward(classifier, tokenizer, 1)([PROMPT], [TEXT], [answers_of_one_text(tokenizer)["ended"]])
    written = encode_answer(tokenizer, PROMPT, [{"role": "assistant", "content": TEXT}])
    assert [sampled] == answer_rewards(classifier, tokenizer, [written], 1)


def test_a_text_reader_knows_an_open_answer(
    classifier: Any, tokenizer: PreTrainedTokenizerBase, other_tokenizer: PreTrainedTokenizerBase
) -> None:
    sampled = answers_of_one_text(tokenizer)
    reward = TextClassifierReward(classifier, other_tokenizer, 2, [tokenizer.eos_token_id])
    ended, cut = reward([PROMPT] * 2, [TEXT] * 2, [sampled["ended"], sampled["open"]])
    whole = encode_answer(other_tokenizer, PROMPT, [{"role": "assistant", "content": TEXT}])
    ended_ids = whole.ids[: whole.ids.index(tokenizer.eos_token_id, whole.prompt_tokens) + 1]
    text_ids = whole.ids[: whole.prompt_tokens + len(sampled["open"])]
    with torch.no_grad():
        assert ended == about(classifier(input_ids=torch.tensor([ended_ids])).logits.item())
        assert cut == about(classifier(input_ids=torch.tensor([text_ids])).logits.item())


def test_tokenizers_are_compared_by_what_they_make_of_a_conversation(
    tokenizer: PreTrainedTokenizerBase, other_tokenizer: PreTrainedTokenizerBase
) -> None:
    assert same_tokens(tokenizer, copy.deepcopy(tokenizer))
    assert not same_tokens(tokenizer, other_tokenizer)
    larger = copy.deepcopy(tokenizer)
    larger.add_tokens(["Galileu"])
    assert not same_tokens(tokenizer, larger)


def _sampler(policy: Any, tokenizer: PreTrainedTokenizerBase, *, text_only: bool) -> Sampler:
    return Sampler(policy, tokenizer, temperature=1.0, max_new_tokens=12, batch_size=64, text_only=text_only)


@pytest.mark.parametrize("text_only", [False, True])
def test_a_text_reader_gets_no_special_tokens_but_the_end(
    base: Path, tokenizer: PreTrainedTokenizerBase, text_only: bool
) -> None:
    policy = make_policy(base).eval()
    control = sorted(control_ids(tokenizer))
    hook = policy.get_output_embeddings().register_forward_hook(  # all control tokens are likely
        lambda module, inputs, logits: logits.index_add(
            -1, torch.tensor(control), torch.full((*logits.shape[:-1], len(control)), 4.0)
        )
    )
    sampler = _sampler(policy, tokenizer, text_only=text_only)
    torch.manual_seed(0)
    answers = sampler.sample([encode_prompt(tokenizer, PROMPT)] * 64)
    hook.remove()
    seen = {int(token) for token in answers.answer_NT[answers.mask_NT.bool()]} & set(control)
    assert (seen == set(sampler.end_ids)) is text_only
    assert not set(sampler.forbidden) & set(sampler.end_ids)


def test_what_cannot_be_sampled_has_no_probability(base: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """The log-probabilities are those of the distribution that was sampled from."""
    policy = make_policy(base).eval()
    sampler = _sampler(policy, tokenizer, text_only=True)
    assert sampler.forbidden
    answers = sampler.sample([encode_prompt(tokenizer, PROMPT)] * 4)
    batch = answers.batch(torch.arange(4))
    with torch.no_grad():
        plain = answer_logprobs(policy, batch, 1.0)
        restricted = answer_logprobs(policy, batch, 1.0, sampler.forbidden)
        first = policy(input_ids=batch.ids_BL).logits[:, answers.prompt_NP.shape[1] - 1].softmax(-1)
    allowed = 1 - first[:, sampler.forbidden].sum(-1)
    assert (restricted[:, 0] - plain[:, 0]).tolist() == about((-allowed.log()).tolist())
    assert all(math.isfinite(value) for value in restricted.flatten().tolist())


def test_a_policy_with_a_text_reader_starts_its_update_where_it_sampled(
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    other_tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    classifier: Any,
) -> None:
    trainer = make_trainer(
        base,
        tmp_path,
        classifier,
        reward_tokenizer=other_tokenizer,
        max_steps=2,
        per_device_train_batch_size=8,
        num_ppo_epochs=1,
    )
    trainer.train()
    points = [point for point in trainer.state.log_history if "approx_kl" in point]
    assert [point["approx_kl"] for point in points] == [pytest.approx(0, abs=1e-6)] * 2
    assert points[0]["kl"] == pytest.approx(0, abs=1e-4)
    answers = trainer.sample_answers(prompts(8))
    assert all(math.isfinite(answer.reward) for answer in answers)
