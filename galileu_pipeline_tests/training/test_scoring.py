"""Log-probabilities and rewards of whole answers, against direct computation."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import EncodedAnswer, Messages, encode_answer
from galileu_pipeline.training.scoring import answer_logprobs, answer_rewards, grouped_rewards
from galileu_pipeline_tests.training.closeness import about

PROMPT: Messages = [{"role": "user", "content": "Quem é você?"}]


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(tiny_base).eval()


def by_hand(model: torch.nn.Module, answer: EncodedAnswer) -> float:
    """The sum of log softmax, token by token, without padding."""
    with torch.no_grad():
        logits = model(torch.tensor([answer.ids])).logits[0]
    logprobs = torch.log_softmax(logits, -1)
    places = range(answer.prompt_tokens, len(answer.ids))
    return float(sum(logprobs[place - 1, answer.ids[place]] for place in places))


@settings(max_examples=15, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1), min_size=1, max_size=6
    ),
    batch_size=st.integers(1, 4),
)
def test_padding_and_batching_change_nothing(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str], batch_size: int
) -> None:
    answers = [encode_answer(tokenizer, PROMPT, [{"role": "assistant", "content": text}]) for text in texts]
    scored = answer_logprobs(model, tokenizer, answers, batch_size)
    for answer, score in zip(answers, scored, strict=True):
        assert score.tokens == len(answer.ids) - answer.prompt_tokens
        assert score.total == about(by_hand(model, answer))
        assert score.mean == score.total / score.tokens


def test_rewards_do_not_depend_on_the_batch(tiny_base: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(
        tiny_base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    texts = ["Sou Galileu.", "Não sei.", "Uma resposta bem mais longa do que as outras duas, com muitas palavras."]
    answers = [encode_answer(tokenizer, PROMPT, [{"role": "assistant", "content": text}]) for text in texts]
    together = answer_rewards(classifier, tokenizer, answers, 3)
    alone = [answer_rewards(classifier, tokenizer, [answer], 1)[0] for answer in answers]
    assert together == about(alone)
    assert len(set(together)) == 3


def test_the_same_answer_is_read_once(tiny_base: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(
        tiny_base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    rows: list[int] = []
    classifier.register_forward_pre_hook(lambda _, __, given: rows.append(len(given["input_ids"])), with_kwargs=True)
    one, other = (
        encode_answer(tokenizer, PROMPT, [{"role": "assistant", "content": text}]) for text in ("Sim.", "Não sei.")
    )
    (first,), (second, third), none = grouped_rewards(classifier, tokenizer, [[one], [other, one], []], 8)
    assert (first == third, first == second, none) == (True, False, [])
    assert rows == [2]
