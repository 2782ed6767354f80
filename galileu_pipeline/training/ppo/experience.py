"""Answers of the policy, and what the reward model and the reference say of them.

Shapes: N answers, B of a batch, T tokens of an answer.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.errors import ArgumentError
from galileu_pipeline.training.encoding import Messages
from galileu_pipeline.training.ppo.networks import answer_logprobs
from galileu_pipeline.training.ppo.prompts import IDS_COLUMN, PROMPT_COLUMN
from galileu_pipeline.training.ppo.rewards import RewardFunction
from galileu_pipeline.training.ppo.rollout import Answers, Batch
from galileu_pipeline.training.ppo.sampling import Sampler


@dataclass(frozen=True)
class SampledAnswer:
    """An answer of the policy.

    Attributes:
        reward: as the reward model gives it, without penalties.
        kl: the sum over its tokens of log(policy / reference), nats.
        tokens: its length, the end token included.
        ended: it has an end token.
    """

    prompt: str
    answer: str
    reward: float
    kl: float
    tokens: int
    ended: bool


@dataclass(frozen=True)
class Experience:
    """Judged answers of one process."""

    prompts: list[Messages]
    texts: list[str]
    answers: Answers
    logprobs_NT: torch.Tensor
    ref_logprobs_NT: torch.Tensor
    rewards_N: torch.Tensor
    ended_N: torch.Tensor

    @property
    def kl_N(self) -> torch.Tensor:
        """Sum over the tokens of log(policy / reference), nats."""
        return (self.logprobs_NT - self.ref_logprobs_NT).sum(1)

    def records(self, limit: int | None = None) -> list[SampledAnswer]:
        """The first answers, for people to read."""
        columns = zip(
            self.prompts,
            self.texts,
            self.rewards_N.tolist(),
            self.kl_N.tolist(),
            self.answers.lengths_N.tolist(),
            self.ended_N.tolist(),
            strict=True,
        )
        return [
            SampledAnswer(prompt[-1]["content"], text, round(reward, 6), round(kl, 6), tokens, ended)
            for prompt, text, reward, kl, tokens, ended in list(columns)[:limit]
        ]


class Explorer:
    """Samples answers and has them judged."""

    def __init__(
        self,
        policy: nn.Module,
        reference: nn.Module,
        reward_function: RewardFunction,
        sampler: Sampler,
        tokenizer: PreTrainedTokenizerBase,
        *,
        temperature: float,
        batch_size: int,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._policy = policy
        self._reference = reference
        self._reward_function = reward_function
        self._sampler = sampler
        self._tokenizer = tokenizer
        self._temperature = temperature
        self._batch_size = batch_size
        self._autocast = autocast

    @torch.no_grad()
    def explore(self, rows: Sequence[dict[str, Any]]) -> Experience:
        """One judged answer to each row's prompt, in order."""
        with self._autocast():
            answers = self._sampler.sample([row[IDS_COLUMN] for row in rows])
        tokens = zip(answers.answer_NT, answers.lengths_N.tolist(), strict=True)
        ids: list[list[int]] = [answer[:length].tolist() for answer, length in tokens]
        texts = [text.strip() for text in self._tokenizer.batch_decode(ids, skip_special_tokens=True)]
        prompts = [row[PROMPT_COLUMN] for row in rows]
        with self._autocast():
            rewards = _one_each(self._reward_function(prompts, texts, ids), len(rows))
        device = answers.answer_NT.device
        return Experience(
            prompts=prompts,
            texts=texts,
            answers=answers,
            logprobs_NT=self._logprobs(self._policy, answers),
            ref_logprobs_NT=self._logprobs(self._reference, answers),
            # In double precision: normalised, they are then the same whatever constant has been added to all of them.
            rewards_N=torch.tensor(rewards, dtype=torch.float64, device=device),
            ended_N=torch.tensor([row[-1] in self._sampler.end_ids for row in ids], device=device),
        )

    @torch.no_grad()
    def by_batch(self, answers: Answers, score: Callable[[Batch], torch.Tensor]) -> torch.Tensor:
        """`score` of every answer token, (N, T), computed on answers of like length together."""
        scores_NT = torch.zeros(answers.answer_NT.shape, device=answers.answer_NT.device)
        for rows in answers.by_length(torch.arange(len(answers)), self._batch_size):
            batch = answers.batch(rows)
            with self._autocast():
                scores_NT[rows, : batch.answer_BT.shape[1]] = score(batch).float()
        return scores_NT

    def _logprobs(self, policy: nn.Module, answers: Answers) -> torch.Tensor:
        forbidden = self._sampler.forbidden
        return self.by_batch(answers, lambda batch: answer_logprobs(policy, batch, self._temperature, forbidden))


def _one_each(rewards: Any, answers: int) -> list[float]:
    """A reward function may give a list, an array or a tensor, but one number an answer."""
    try:
        numbers = [float(reward) for reward in rewards]
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"A reward function must give one number an answer; it gave {str(rewards)[:80]!r}: {error}"
        ) from error
    if len(numbers) != answers:
        raise ArgumentError(
            f"The reward function gave {len(numbers)} rewards for {answers} answers; it must give one number an answer."
        )
    return numbers
