"""Stage `dpo`: direct preference optimization, from the SFT model and against it."""

from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer
from trl import DPOConfig, DPOTrainer

from galileu_pipeline.evaluation.statistics import preference_accuracy
from galileu_pipeline.training.backbone import load_policy
from galileu_pipeline.training.generation import generate
from galileu_pipeline.training.runner import Recipe
from galileu_pipeline.training.scoring import AnswerLogprob, answer_logprobs, encode
from galileu_pipeline.training.settings import DpoSettings


@dataclass(frozen=True)
class PairLogprobs:
    """Log-probabilities of the chosen and rejected answers of N pairs under one policy."""

    chosen: list[AnswerLogprob]
    rejected: list[AnswerLogprob]

    def implicit_rewards(self, reference: "PairLogprobs", beta: float) -> tuple[list[float], list[float]]:
        """beta * log(policy / reference) of both sides, (N,) each: the reward of DPO (2305.18290, eq. 5)."""
        return (
            [beta * (mine.total - ref.total) for mine, ref in zip(self.chosen, reference.chosen, strict=True)],
            [beta * (mine.total - ref.total) for mine, ref in zip(self.rejected, reference.rejected, strict=True)],
        )


class DpoRecipe(Recipe[DpoSettings]):
    """TRL's DPOTrainer. The SFT adapter is trained on; its frozen copy is the reference policy, not a second model."""

    settings_type = DpoSettings

    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        return load_policy(self.spec)

    def make_trainer(self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]) -> Trainer:
        args = DPOConfig(**common.pop("args"), beta=self.settings.beta, label_smoothing=self.settings.label_smoothing)
        return DPOTrainer(model, args=args, processing_class=tokenizer, **common)

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        model: Any = trainer.model
        limit = self.settings.max_length
        self._pairs = [
            (
                encode(tokenizer, row["prompt"], row["chosen"], limit),
                encode(tokenizer, row["prompt"], row["rejected"], limit),
            )
            for row in test
        ]
        self._sft = self._logprobs(model, tokenizer)
        with model.disable_adapter():
            self._base = self._logprobs(model, tokenizer)
        self._prompts = test["prompt"][: self.spec.samples.prompts]
        self._answers = generate(model, tokenizer, self._prompts, self.spec.samples.max_new_tokens)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        dpo = self._logprobs(trainer.model, tokenizer)
        chosen, rejected = dpo.implicit_rewards(self._sft, self.settings.beta)
        margins = [better - worse for better, worse in zip(chosen, rejected, strict=True)]
        after = generate(trainer.model, tokenizer, self._prompts, self.spec.samples.max_new_tokens)
        self._samples = [
            {"prompt": prompt[-1]["content"], "before": before, "after": answer}
            for prompt, before, answer in zip(self._prompts, self._answers, after, strict=True)
        ]
        return {
            "preference_accuracy": {
                name: preference_accuracy(
                    [answer.mean for answer in policy.chosen], [answer.mean for answer in policy.rejected]
                ).model_dump()
                for name, policy in (("base_model", self._base), ("sft_model", self._sft), ("dpo_model", dpo))
            },
            "implicit_reward_accuracy": preference_accuracy(chosen, rejected).model_dump(),
            "reward_margin": round(sum(margins) / len(margins), 6),
        }

    def samples(self) -> list[dict[str, str]]:
        return self._samples

    def _logprobs(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> PairLogprobs:
        size = self.settings.eval_batch_size
        chosen, rejected = (list(side) for side in zip(*self._pairs, strict=True))
        return PairLogprobs(
            answer_logprobs(model, tokenizer, chosen, size), answer_logprobs(model, tokenizer, rejected, size)
        )
