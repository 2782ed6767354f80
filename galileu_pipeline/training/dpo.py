"""Stage `dpo`: direct preference optimization, from the SFT model and against it."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer
from trl import DPOConfig, DPOTrainer

from galileu_pipeline.evaluation.statistics import preference_accuracy
from galileu_pipeline.training.backbone import load_policy
from galileu_pipeline.training.checkpoints import WholeCheckpoints
from galileu_pipeline.training.completion_head import score_completions_alone
from galileu_pipeline.training.examples import EncodedRow, preference
from galileu_pipeline.training.held_out_pairs import HeldOutPairs
from galileu_pipeline.training.memory import EvenExamples
from galileu_pipeline.training.runner import Recipe
from galileu_pipeline.training.settings import DpoSettings


class EncodedDPOTrainer(WholeCheckpoints, EvenExamples, DPOTrainer):
    """TRL's, with checkpoints that are whole or not there, and steps that do not depend on how they are split.

    It is given pairs that are token ids already. TRL (1.16) has no way for that, and its own encoding lets texts become
    control tokens.
    """

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset


class DpoRecipe(Recipe[DpoSettings]):
    """TRL's DPOTrainer. The SFT adapter is trained on; its frozen copy is the reference policy, not a second model."""

    settings_type = DpoSettings

    def encode(self, tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
        return preference(tokenizer, row)

    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        return load_policy(self.spec)

    def make_trainer(
        self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]
    ) -> WholeCheckpoints:
        smoothing = self.settings.label_smoothing
        args = DPOConfig(
            **common.pop("args"),
            beta=self.settings.beta,
            loss_type=["robust" if smoothing else "sigmoid"],  # the sigmoid loss of TRL takes no smoothing
            label_smoothing=smoothing,
        )
        trainer = EncodedDPOTrainer(model, args=args, processing_class=tokenizer, **common)
        score_completions_alone(model.get_base_model())
        return trainer

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        model: Any = trainer.model
        self._pairs = HeldOutPairs(tokenizer, test, self.settings.eval_batch_size)
        self._sft = self._pairs.logprobs(model)
        with model.disable_adapter():
            self._base = self._pairs.logprobs(model)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        dpo = self._pairs.logprobs(trainer.model)
        chosen, rejected = dpo.implicit_rewards(self._sft, self.settings.beta)
        margins = [better - worse for better, worse in zip(chosen, rejected, strict=True)]
        return {
            "preference_accuracy": {
                "base_model": self._base.accuracy().model_dump(),
                "sft_model": self._sft.accuracy().model_dump(),
                "dpo_model": dpo.accuracy().model_dump(),
            },
            "implicit_reward_accuracy": preference_accuracy(chosen, rejected, dpo.questions).model_dump(),
            "reward_margin": round(sum(margins) / len(margins), 6),
        }
