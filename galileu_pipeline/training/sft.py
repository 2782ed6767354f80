"""Stage `sft`: supervised fine-tuning on well-rated answers."""

from typing import Any

from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer
from trl import SFTConfig, SFTTrainer

from galileu_pipeline.training.backbone import load_policy
from galileu_pipeline.training.checkpoints import WholeCheckpoints
from galileu_pipeline.training.runner import Recipe
from galileu_pipeline.training.settings import SftSettings


class _Trainer(WholeCheckpoints, SFTTrainer):
    """TRL's, with checkpoints that are whole or not there."""


class SftRecipe(Recipe[SftSettings]):
    """TRL's SFTTrainer on {prompt, completion}: the loss is on the completion only."""

    settings_type = SftSettings

    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        return load_policy(self.spec)

    def make_trainer(self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]) -> Trainer:
        args = SFTConfig(**common.pop("args"), packing=False)
        return _Trainer(model, args=args, processing_class=tokenizer, **common)

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        # A fresh LoRA adds nothing, so this is the base model.
        self._base = _held_out(trainer)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        return {**_held_out(trainer), **{f"base_{name}": value for name, value in self._base.items()}}


def _held_out(trainer: Trainer) -> dict[str, float]:
    """Loss (nats a token) and share of next tokens guessed right, on held-out answers."""
    metrics = trainer.evaluate()
    return {
        "eval_loss": round(metrics["eval_loss"], 6),
        "eval_token_accuracy": round(metrics["eval_mean_token_accuracy"], 6),
    }
