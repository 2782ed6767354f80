"""Where the reward of an answer comes from: a sequence classifier, or any function."""

from collections.abc import Sequence
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import Messages, encode_answer
from galileu_pipeline.training.scoring import answer_rewards


class RewardFunction(Protocol):
    """One number an answer, in order; more is better, no unit."""

    def __call__(
        self, prompts: Sequence[Messages], answers: Sequence[str], answer_ids: Sequence[Sequence[int]], /
    ) -> Sequence[float]:
        """Rewards of `answers`, texts without special tokens; `answer_ids` are their tokens with the end token."""


class ClassifierReward:
    """A sequence classification model with one output, on texts: its tokenizer need not be the policy's."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._batch_size = batch_size

    def __call__(
        self, prompts: Sequence[Messages], answers: Sequence[str], answer_ids: Sequence[Sequence[int]]
    ) -> Sequence[float]:
        encoded = [
            encode_answer(self._tokenizer, prompt, [{"role": "assistant", "content": answer}])
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        return answer_rewards(self.model, self._tokenizer, encoded, self._batch_size)
