"""Stage `sft`: supervised fine-tuning on well-rated answers."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer
from trl import SFTConfig, SFTTrainer

from galileu_pipeline.training.backbone import load_policy
from galileu_pipeline.training.checkpoints import WholeCheckpoints
from galileu_pipeline.training.completion_head import score_completions_alone
from galileu_pipeline.training.encoding import EncodedAnswer
from galileu_pipeline.training.examples import IGNORED_LABEL, EncodedRow, completion
from galileu_pipeline.training.runner import Recipe
from galileu_pipeline.training.scoring import answer_logprobs
from galileu_pipeline.training.settings import SftSettings


class _Trainer(WholeCheckpoints, SFTTrainer):
    """TRL's, with checkpoints that are whole or not there."""


class SftRecipe(Recipe[SftSettings]):
    """TRL's SFTTrainer on {prompt, completion}: the loss is on the completion only."""

    settings_type = SftSettings

    def encode(self, tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
        return completion(tokenizer, row)

    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        return load_policy(self.spec)

    def make_trainer(
        self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]
    ) -> WholeCheckpoints:
        args = SFTConfig(**common.pop("args"), packing=False)
        trainer = _Trainer(model, args=args, processing_class=tokenizer, **common)
        score_completions_alone(model.get_base_model())
        return trainer

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        # A fresh LoRA adds nothing, so this is the base model.
        self._base = self._held_out(trainer, tokenizer, test)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        trained = self._held_out(trainer, tokenizer, test)
        return {**trained, **{f"base_{name}": value for name, value in self._base.items()}}

    def _held_out(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, float]:
        """Loss (nats a token) and share of next tokens guessed right, over the tokens of all held-out answers."""
        answers = [EncodedAnswer(row["input_ids"], row["labels"].count(IGNORED_LABEL)) for row in test]
        scored = answer_logprobs(trainer.model, tokenizer, answers, self.settings.eval_batch_size)
        tokens = sum(answer.tokens for answer in scored)
        return {
            "eval_loss": round(-sum(answer.total for answer in scored) / tokens, 6),
            "eval_token_accuracy": round(sum(answer.guessed for answer in scored) / tokens, 6),
        }
