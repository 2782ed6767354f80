"""Where the reward of an answer comes from: a sequence classifier, or any function."""

from collections.abc import Sequence
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import EncodedAnswer, Messages, control_ids, encode_answer, encode_prompt
from galileu_pipeline.training.scoring import answer_rewards


class RewardFunction(Protocol):
    """One number an answer, in order; more is better, no unit."""

    def __call__(
        self, prompts: Sequence[Messages], answers: Sequence[str], answer_ids: Sequence[Sequence[int]], /
    ) -> Sequence[float]:
        """Rewards of `answers`, texts without special tokens; `answer_ids` are their tokens exactly as sampled."""


class ClassifierReward:
    """A sequence classification model with one output, with the policy's tokenizer: it reads what was sampled."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._batch_size = batch_size

    def __call__(
        self, prompts: Sequence[Messages], answers: Sequence[str], answer_ids: Sequence[Sequence[int]]
    ) -> Sequence[float]:
        encoded = []
        for prompt, ids in zip(prompts, answer_ids, strict=True):
            prompt_ids = encode_prompt(self._tokenizer, prompt)
            encoded.append(EncodedAnswer([*prompt_ids, *ids], len(prompt_ids)))
        return answer_rewards(self.model, self._tokenizer, encoded, self._batch_size)


class TextClassifierReward:
    """A sequence classification model with one output and a tokenizer of its own, so that it reads texts.

    Texts do not show special tokens, so the policy must not sample any but those that end an answer, `end_ids`. An
    answer without one stays open for the classifier too.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, batch_size: int, end_ids: Sequence[int]) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._end_ids = frozenset(end_ids)

    def __call__(
        self, prompts: Sequence[Messages], answers: Sequence[str], answer_ids: Sequence[Sequence[int]]
    ) -> Sequence[float]:
        encoded = []
        for prompt, answer, ids in zip(prompts, answers, answer_ids, strict=True):
            whole = encode_answer(self._tokenizer, prompt, [{"role": "assistant", "content": answer}])
            encoded.append(whole if ids[-1] in self._end_ids else self._open(whole))
        return answer_rewards(self.model, self._tokenizer, encoded, self._batch_size)

    def _open(self, whole: EncodedAnswer) -> EncodedAnswer:
        """Without the control token that ends the answer, and what the template puts after it."""
        control = control_ids(self._tokenizer)
        ends = [place for place in range(whole.prompt_tokens, len(whole.ids)) if whole.ids[place] in control]
        return EncodedAnswer(whole.ids[: ends[0]], whole.prompt_tokens) if ends else whole


def same_tokens(first: PreTrainedTokenizerBase, second: PreTrainedTokenizerBase) -> bool:
    """Whether both make the same token ids of a conversation."""
    return first is second or (first.chat_template == second.chat_template and first.get_vocab() == second.get_vocab())
