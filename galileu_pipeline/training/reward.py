"""Stage `reward`: a reward model that learns from pairs which answer people prefer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer
from trl import RewardConfig, RewardTrainer

from galileu_pipeline.evaluation.statistics import preference_accuracy, rank_correlation
from galileu_pipeline.training.backbone import load_reward_model
from galileu_pipeline.training.checkpoints import WholeCheckpoints
from galileu_pipeline.training.encoding import EncodedAnswer, up_to_the_end
from galileu_pipeline.training.examples import EncodedRow, completion, encode_examples, whole_preference
from galileu_pipeline.training.held_out_pairs import questions_of
from galileu_pipeline.training.memory import EvenExamples
from galileu_pipeline.training.runner import Recipe, read_split
from galileu_pipeline.training.scoring import grouped_rewards
from galileu_pipeline.training.settings import RewardSettings


class _Trainer(WholeCheckpoints, EvenExamples, RewardTrainer):
    """TRL's, with checkpoints that are whole or not there, and steps that do not depend on how they are split."""


class RewardRecipe(Recipe[RewardSettings]):
    """TRL's RewardTrainer on {prompt, chosen, rejected} (Bradley & Terry 1952; Ouyang et al., 2203.02155, eq. 1)."""

    settings_type = RewardSettings
    talks = False

    def encode(self, tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
        encoded = whole_preference(tokenizer, row)
        # The reward is read where a policy's answer ends.
        columns = {name: up_to_the_end(tokenizer, ids) for name, ids in encoded.columns.items()}
        return replace(encoded, columns=columns)

    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        return load_reward_model(self.spec, tokenizer)

    def make_trainer(
        self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]
    ) -> WholeCheckpoints:
        args = RewardConfig(
            **common.pop("args"), center_rewards_coefficient=self.settings.center_rewards_coefficient or None
        )
        return _Trainer(model, args=args, processing_class=tokenizer, **common)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        rated = read_split(self.spec.dataset, "answers")
        answers = encode_examples(rated, tokenizer, completion, self.settings.max_length).rows
        columns = (test["chosen_ids"], test["rejected_ids"], answers["input_ids"])
        groups = ([EncodedAnswer(ids, 0) for ids in column] for column in columns)
        chosen, rejected, rewards = grouped_rewards(trainer.model, tokenizer, groups, self.settings.eval_batch_size)
        margins = [better - worse for better, worse in zip(chosen, rejected, strict=True)]
        correlation = rank_correlation(rewards, answers["score"], questions_of(answers))
        accuracy = preference_accuracy(chosen, rejected, questions_of(test))
        return {
            "preference_accuracy": {"reward_model": accuracy.model_dump()},
            "reward_margin": round(sum(margins) / len(margins), 6),
            "reward_rating_rank_correlation": correlation.model_dump() if correlation else None,
        }
