"""Stage `reward`: a reward model that learns from pairs which answer people prefer."""

from collections.abc import Iterable, Mapping
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
from galileu_pipeline.training.scoring import answer_rewards
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

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        self._untrained = self._pair_rewards(trainer.model, tokenizer, test)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        chosen, rejected = self._pair_rewards(trainer.model, tokenizer, test)
        margins = [better - worse for better, worse in zip(chosen, rejected, strict=True)]
        rated = read_split(self.spec.dataset, "answers")
        answers = encode_examples(rated, tokenizer, completion, self.settings.max_length).rows
        rewards = self._rewards(trainer.model, tokenizer, answers["input_ids"])
        correlation = rank_correlation(rewards, answers["score"], questions_of(answers))
        questions = questions_of(test)
        return {
            "preference_accuracy": {
                "reward_model": preference_accuracy(chosen, rejected, questions).model_dump(),
                "untrained_head": preference_accuracy(*self._untrained, questions).model_dump(),
            },
            "reward_margin": round(sum(margins) / len(margins), 6),
            "reward_rating_rank_correlation": correlation.model_dump() if correlation else None,
        }

    def _pair_rewards(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, pairs: Dataset
    ) -> tuple[list[float], list[float]]:
        return (
            self._rewards(model, tokenizer, pairs["chosen_ids"]),
            self._rewards(model, tokenizer, pairs["rejected_ids"]),
        )

    def _rewards(self, model: Any, tokenizer: PreTrainedTokenizerBase, texts: Iterable[list[int]]) -> list[float]:
        return answer_rewards(model, tokenizer, [EncodedAnswer(ids, 0) for ids in texts], self.settings.eval_batch_size)
