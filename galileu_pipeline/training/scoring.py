"""Scores of whole answers: log-probability under a policy, reward of a reward model.

Shapes: B batch, T tokens, V vocabulary. Answers of like length share a batch, so that little is padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import EncodedAnswer, up_to_the_end
from galileu_pipeline.training.logprobs import token_logprobs


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
    results: dict[int, AnswerLogprob] = {}
    for batch in _batches(model, tokenizer, answers, batch_size):
        # The logits before a token are those that predict it; those of what all prompts have are never computed.
        kept = batch.ids_BT.shape[1] - max(min(answers[index].prompt_tokens for index in batch.indices), 1)
        logits_BTV = model(
            input_ids=batch.ids_BT, attention_mask=batch.attention_BT, logits_to_keep=kept + 1, use_cache=False
        ).logits[:, :-1]
        next_BT, mask_BT = batch.ids_BT[:, -kept:], batch.answer_BT[:, -kept:]
        logprobs_BT = token_logprobs(logits_BTV, next_BT) * mask_BT
        guessed_BT = (logits_BTV.argmax(-1) == next_BT) * mask_BT
        sums = (figures_BT.sum(1).tolist() for figures_BT in (logprobs_BT, mask_BT, guessed_BT))
        results.update(zip(batch.indices, map(AnswerLogprob, *sums), strict=True))
    return [results[index] for index in range(len(answers))]


def answer_rewards(
    model: Any, tokenizer: PreTrainedTokenizerBase, answers: Sequence[EncodedAnswer], batch_size: int
) -> list[float]:
    """The reward of every answer under a sequence classifier with one output, in the given order; no unit.

    Read at the token that ends the answer, where there is one.
    """
    sampled = [EncodedAnswer(up_to_the_end(tokenizer, answer.ids), answer.prompt_tokens) for answer in answers]
    results: dict[int, float] = {}
    for batch in _batches(model, tokenizer, sampled, batch_size):
        rewards_B = model(input_ids=batch.ids_BT, attention_mask=batch.attention_BT, use_cache=False).logits[:, 0]
        results.update(zip(batch.indices, rewards_B.float().tolist(), strict=True))
    return [results[index] for index in range(len(answers))]


@dataclass(frozen=True)
class _Batch:
    indices: list[int]
    ids_BT: torch.Tensor
    attention_BT: torch.Tensor
    answer_BT: torch.Tensor  # 1 on the answer's tokens, 0 on prompt and padding


def _batches(
    model: Any, tokenizer: PreTrainedTokenizerBase, answers: Sequence[EncodedAnswer], batch_size: int
) -> Iterator[_Batch]:
    model.eval()
    by_length = sorted(range(len(answers)), key=lambda index: len(answers[index].ids))
    with torch.no_grad():
        for start in range(0, len(by_length), batch_size):
            indices = by_length[start : start + batch_size]
            yield _pad(indices, [answers[index] for index in indices], tokenizer.pad_token_id, model.device)


def _pad(indices: list[int], answers: Sequence[EncodedAnswer], pad_id: int, device: torch.device) -> _Batch:
    longest = max(len(answer.ids) for answer in answers)
    ids_BT = torch.full((len(answers), longest), pad_id)
    attention_BT, answer_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT)
    for row, answer in enumerate(answers):
        length = len(answer.ids)
        ids_BT[row, :length] = torch.tensor(answer.ids)
        attention_BT[row, :length] = 1
        answer_BT[row, answer.prompt_tokens : length] = 1
    return _Batch(indices, ids_BT.to(device), attention_BT.to(device), answer_BT.to(device))
