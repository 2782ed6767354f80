"""Stage `ppo`: reinforcement learning against the reward model, from the SFT model and near it."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer

from galileu_pipeline.errors import StageError
from galileu_pipeline.evaluation.statistics import mean
from galileu_pipeline.training.backbone import load_policy, load_reward_model_beside
from galileu_pipeline.training.checkpoints import WholeCheckpoints
from galileu_pipeline.training.examples import EncodedRow, Examples, dataset_of, encode_examples, preference, question
from galileu_pipeline.training.held_out_pairs import HeldOutPairs
from galileu_pipeline.training.ppo.answer_log import ANSWERS_NAME
from galileu_pipeline.training.ppo.config import PPOConfig
from galileu_pipeline.training.ppo.experience import SampledAnswer
from galileu_pipeline.training.ppo.networks import ValueModel
from galileu_pipeline.training.ppo.trainer import PPOTrainer
from galileu_pipeline.training.runner import Recipe, read_split
from galileu_pipeline.training.settings import PpoSettings
from galileu_pipeline.training.sharing import twin


class PpoRecipe(Recipe[PpoSettings]):
    """Our PPOTrainer. Policy, reference (the SFT model), value and reward model share the frozen base in memory."""

    settings_type = PpoSettings

    def encode(self, tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
        return preference(tokenizer, row)

    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        return load_policy(self.spec)

    def examples(self, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> Examples:
        """The questions of `rows` and of `spec.more_questions`."""
        more = [read_split(self.spec.more_questions, "train")] if self.spec.more_questions else []
        return self._questions_of(tokenizer, rows, *more)

    def _questions_of(self, tokenizer: PreTrainedTokenizerBase, *datasets: Dataset) -> Examples:
        """Each conversation once, however many rows it has, if it leaves room for an answer."""
        distinct = {json.dumps(prompt): prompt for rows in datasets for prompt in rows["prompt"]}
        rows = dataset_of(pa.table({"prompt": list(distinct.values())}))
        return encode_examples(rows, tokenizer, question, self.settings.max_length - self.settings.max_new_tokens)

    def make_trainer(
        self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]
    ) -> WholeCheckpoints:
        if self.spec.reward is None:
            raise StageError("Stage ppo needs the folder of a reward model: `reward` in its spec.")
        reward_model = load_reward_model_beside(model, self.spec.reward, tokenizer)
        value_model = None
        if self.settings.value_model == "reward_model":
            trainable = load_reward_model_beside(model, self.spec.reward, tokenizer, trainable=True)
            value_model = ValueModel.from_classifier(twin(trainable))
        return PPOTrainer(
            model,
            reward_model,
            self._config(common.pop("args")),
            processing_class=tokenizer,
            value_model=value_model,
            **common,
        )

    def _config(self, common: dict[str, Any]) -> PPOConfig:
        settings = self.settings
        config = PPOConfig(
            **{name: value for name, value in common.items() if name != "max_length"},
            max_prompt_length=settings.max_length - settings.max_new_tokens,
            max_completion_length=settings.max_new_tokens,
            per_device_rollout_batch_size=settings.rollout_batch_size,
            per_device_scoring_batch_size=settings.scoring_batch_size,
            num_ppo_epochs=settings.ppo_epochs,
            num_minibatches=settings.minibatches,
            **settings.model_dump(
                include={
                    *("temperature", "kl_coef", "kl_loss_coef", "kl_target", "kl_horizon", "target_kl", "max_kl"),
                    *("gamma", "lam", "clip_range", "value_clip_range", "value_coef", "value_learning_rate"),
                    *("missing_eos_penalty", "normalize_rewards", "reward_clip", "logged_answers"),
                    "merge_for_rollouts",
                }
            ),
        )
        # The profile counts iterations, the trainer optimizer steps.
        for name in ("logging_steps", "eval_steps", "save_steps", "max_steps"):
            value = getattr(config, name)
            setattr(config, name, value * config.steps_per_rollout if value > 0 else value)
        config.logging_first_step = False
        return config

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        self._questions = self._questions_of(tokenizer, test)
        if self._questions.left_out:
            self.report(f"ppo: held-out questions left out: {self._questions.left_out}")
        self._sft_answers = _ppo(trainer).sample_answers(self._questions.rows)

    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        answers = _ppo(trainer).sample_answers(self._questions.rows)
        pairs = HeldOutPairs(tokenizer, test, self.settings.eval_batch_size).logprobs(_ppo(trainer).policy)
        if self.settings.logged_answers:
            (self.spec.output / ANSWERS_NAME).write_bytes((self.spec.checkpoints / ANSWERS_NAME).read_bytes())
        return {
            "preference_accuracy": {"ppo_model": pairs.accuracy().model_dump()},
            "held_out_questions_left_out": self._questions.too_long,
            "held_out_reward": _compared(*([answer.reward for answer in g] for g in (self._sft_answers, answers))),
            "held_out_shaped_reward": _compared(*map(_ppo(trainer).shaped_rewards, (self._sft_answers, answers))),
            "held_out_answers": {"sft_model": _shape(self._sft_answers), "ppo_model": _shape(answers)},
            "kl_target": self.settings.kl_target,
        }


def _ppo(trainer: Trainer) -> PPOTrainer:
    assert isinstance(trainer, PPOTrainer)
    return trainer


def _compared(sft: list[float], ppo: list[float]) -> dict[str, Any]:
    """Means of both, and of what the second has more; answer by answer, to the same questions."""
    gains = [after - before for before, after in zip(sft, ppo, strict=True)]
    return {"sft_model": mean(sft).model_dump(), "ppo_model": mean(ppo).model_dump(), "gain": mean(gains).model_dump()}


def _shape(answers: list[SampledAnswer]) -> dict[str, Any]:
    """What would betray a policy that only flatters the reward model."""
    return {
        "kl": mean([answer.kl for answer in answers]).model_dump(),
        "tokens": mean([float(answer.tokens) for answer in answers]).model_dump(),
        "ended": round(sum(answer.ended for answer in answers) / len(answers), 6),
    }
