"""How policies judge held-out pairs: the same measure for every model that generates text."""

from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.evaluation.estimates import PreferenceAccuracy
from galileu_pipeline.evaluation.statistics import preference_accuracy
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.training.encoding import EncodedAnswer
from galileu_pipeline.training.scoring import AnswerLogprob, answer_logprobs


@dataclass(frozen=True)
class PairLogprobs:
    """Log-probabilities of the chosen and rejected answers of N pairs under one policy."""

    chosen: list[AnswerLogprob]
    rejected: list[AnswerLogprob]
    questions: list[str]

    def accuracy(self) -> PreferenceAccuracy:
        """How often the chosen answer is the likelier one, by the mean log-probability of its tokens."""
        return preference_accuracy(
            [answer.mean for answer in self.chosen], [answer.mean for answer in self.rejected], self.questions
        )

    def right(self) -> list[bool]:
        """Whether it is, of each pair."""
        return [one.mean > other.mean for one, other in zip(self.chosen, self.rejected, strict=True)]

    def implicit_rewards(self, reference: "PairLogprobs", beta: float) -> tuple[list[float], list[float]]:
        """beta * log(policy / reference) of both sides, (N,) each: the reward of DPO (2305.18290, eq. 5)."""
        return (
            [beta * (mine.total - ref.total) for mine, ref in zip(self.chosen, reference.chosen, strict=True)],
            [beta * (mine.total - ref.total) for mine, ref in zip(self.rejected, reference.rejected, strict=True)],
        )


class HeldOutPairs:
    """Pairs with the columns of `examples.preference`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pairs: Dataset, batch_size: int) -> None:
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._questions = questions_of(pairs)
        self._answers = [
            EncodedAnswer(row["prompt_ids"] + row[side], len(row["prompt_ids"]))
            for side in ("chosen_ids", "rejected_ids")
            for row in pairs
        ]

    def logprobs(self, model: Any) -> PairLogprobs:
        """Of all pairs under a causal model."""
        logprobs = answer_logprobs(model, self._tokenizer, self._answers, self._batch_size)
        pairs = len(self._questions)
        return PairLogprobs(logprobs[:pairs], logprobs[pairs:], self._questions)


def questions_of(rows: Dataset) -> list[str]:
    """What tells which rows are about the same question, by their column `prompt`, (N,)."""
    return [json_digest(prompt) for prompt in rows["prompt"]]
