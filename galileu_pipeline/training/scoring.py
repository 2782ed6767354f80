"""Scores of whole answers: log-probability under a policy, reward of a reward model.

Shapes: B batch, T tokens, V vocabulary. Answers of like length share a batch, so that little is padding; the same
answer is read once, however often it is asked for.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import EncodedAnswer, up_to_the_end
from galileu_pipeline.training.logprobs import token_logprobs

_Key = tuple[tuple[int, ...], int]  # what an answer is told by: its token ids, and how many of them are the prompt's


@dataclass(frozen=True)
class AnswerLogprob:
    """log p(answer | prompt), natural logarithm, summed over `tokens` tokens (the end token included).

    Of these, `guessed` tokens were the model's first choice.
    """

    total: float
    tokens: int
    guessed: int

    @property
    def mean(self) -> float:
        """A token's mean: comparable between answers of different length (SimPO, Meng et al., 2405.14734, eq. 3)."""
        return self.total / self.tokens


def answer_logprobs(
    model: Any, tokenizer: PreTrainedTokenizerBase, answers: Sequence[EncodedAnswer], batch_size: int
) -> list[AnswerLogprob]:
    """log p of every answer under a causal `model`, in the given order."""
    results: dict[_Key, AnswerLogprob] = {}
    for batch in _batches(model, tokenizer, answers, batch_size):
        # The logits before a token are those that predict it; those of what all prompts have are never computed.
        kept = batch.ids_BT.shape[1] - max(min(prompt_tokens for _, prompt_tokens in batch.keys), 1)
        logits_BTV = model(
            input_ids=batch.ids_BT, attention_mask=batch.attention_BT, logits_to_keep=kept + 1, use_cache=False
        ).logits[:, :-1]
        next_BT, mask_BT = batch.ids_BT[:, -kept:], batch.answer_BT[:, -kept:]
        logprobs_BT = token_logprobs(logits_BTV, next_BT) * mask_BT
        guessed_BT = (logits_BTV.argmax(-1) == next_BT) * mask_BT
        sums = (figures_BT.sum(1).tolist() for figures_BT in (logprobs_BT, mask_BT, guessed_BT))
        results.update(zip(batch.keys, map(AnswerLogprob, *sums), strict=True))
    return [results[_key(answer)] for answer in answers]


def answer_rewards(
    model: Any, tokenizer: PreTrainedTokenizerBase, answers: Sequence[EncodedAnswer], batch_size: int
) -> list[float]:
    """The reward of every answer under a sequence classifier with one output, in the given order; no unit.

    Read at the token that ends the answer, where there is one.
    """
    sampled = [EncodedAnswer(up_to_the_end(tokenizer, answer.ids), answer.prompt_tokens) for answer in answers]
    results: dict[_Key, float] = {}
    for batch in _batches(model, tokenizer, sampled, batch_size):
        rewards_B = model(input_ids=batch.ids_BT, attention_mask=batch.attention_BT, use_cache=False).logits[:, 0]
        results.update(zip(batch.keys, rewards_B.float().tolist(), strict=True))
    return [results[_key(answer)] for answer in sampled]


def grouped_rewards(
    model: Any, tokenizer: PreTrainedTokenizerBase, groups: Iterable[Sequence[EncodedAnswer]], batch_size: int
) -> list[list[float]]:
    """`answer_rewards` of several lists of answers, a list each; what several of them have is read once."""
    groups = list(groups)
    rewards = iter(answer_rewards(model, tokenizer, [answer for group in groups for answer in group], batch_size))
    return [list(itertools.islice(rewards, len(group))) for group in groups]


def _key(answer: EncodedAnswer) -> _Key:
    return tuple(answer.ids), answer.prompt_tokens


@dataclass(frozen=True)
class _Batch:
    keys: list[_Key]
    ids_BT: torch.Tensor
    attention_BT: torch.Tensor
    answer_BT: torch.Tensor  # 1 on the answer's tokens, 0 on prompt and padding


def _batches(
    model: Any, tokenizer: PreTrainedTokenizerBase, answers: Sequence[EncodedAnswer], batch_size: int
) -> Iterator[_Batch]:
    model.eval()
    by_length = sorted({_key(answer): None for answer in answers}, key=lambda key: len(key[0]))
    with torch.no_grad():
        for start in range(0, len(by_length), batch_size):
            yield _pad(by_length[start : start + batch_size], tokenizer.pad_token_id, model.device)


def _pad(keys: list[_Key], pad_id: int, device: torch.device) -> _Batch:
    longest = max(len(ids) for ids, _ in keys)
    ids_BT = torch.full((len(keys), longest), pad_id)
    attention_BT, answer_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT)
    for row, (ids, prompt_tokens) in enumerate(keys):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
        attention_BT[row, : len(ids)] = 1
        answer_BT[row, prompt_tokens : len(ids)] = 1
    return _Batch(keys, ids_BT.to(device), attention_BT.to(device), answer_BT.to(device))
