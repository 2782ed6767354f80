"""Group `models`: the base model, and what is trained on it."""

import math

import dagster as dg

from galileu_pipeline.assets.config import StageConfig
from galileu_pipeline.assets.presentation import model_metadata, result
from galileu_pipeline.evaluation.curves import read_log
from galileu_pipeline.evaluation.statistics import Proportion
from galileu_pipeline.lineage.artifacts import Artifact
from galileu_pipeline.resources.trainer import TrainerResource


@dg.asset(group_name="models", kinds={"huggingface"}, pool="training")
def base_model(
    context: dg.AssetExecutionContext, config: StageConfig, trainer: TrainerResource
) -> dg.MaterializeResult[Artifact]:
    """The profile's base model as a local folder of safetensors."""
    made = trainer.make(context, "base", config.overrides, {}, force=config.force)
    return result(made, made.artifact.manifest.metrics)


@dg.asset(group_name="models", kinds={"trl", "peft"}, pool="training")
def sft_model(
    context: dg.AssetExecutionContext,
    config: StageConfig,
    trainer: TrainerResource,
    base_model: Artifact,
    sft_dataset: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """A LoRA adapter that imitates well-rated answers (supervised fine-tuning)."""
    inputs = {"base_model": base_model, "sft_dataset": sft_dataset}
    made = trainer.make(context, "sft", config.overrides, inputs, force=config.force)
    return result(made, model_metadata(made.artifact))


@dg.asset(group_name="models", kinds={"trl", "peft"}, pool="training")
def reward_model(
    context: dg.AssetExecutionContext,
    config: StageConfig,
    trainer: TrainerResource,
    base_model: Artifact,
    sft_model: Artifact,
    reward_dataset: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """Scores answers as people would: a Bradley-Terry reward model that starts from the SFT model."""
    inputs = {"base_model": base_model, "sft_model": sft_model, "reward_dataset": reward_dataset}
    made = trainer.make(context, "reward", config.overrides, inputs, force=config.force)
    return result(made, model_metadata(made.artifact))


@dg.asset(group_name="models", kinds={"trl", "peft"}, pool="training")
def dpo_model(
    context: dg.AssetExecutionContext,
    config: StageConfig,
    trainer: TrainerResource,
    base_model: Artifact,
    sft_model: Artifact,
    dpo_dataset: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """Learns from preference pairs directly (DPO), from the SFT model and with it as the reference policy."""
    inputs = {"base_model": base_model, "sft_model": sft_model, "dpo_dataset": dpo_dataset}
    made = trainer.make(context, "dpo", config.overrides, inputs, force=config.force)
    return result(made, model_metadata(made.artifact))


def _loss_is_finite(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name="loss_is_finite")
    def check(model: Artifact) -> dg.AssetCheckResult:
        """Every logged loss is a number."""
        losses = [
            value
            for point in read_log(model.path / "training_log.jsonl")
            for key, value in point.items()
            if "loss" in key
        ]
        return dg.AssetCheckResult(
            passed=bool(losses) and all(map(math.isfinite, losses)), metadata={"points": len(losses)}
        )

    return check


def _beats_chance(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    name = asset.key.to_user_string()

    @dg.asset_check(asset=asset, name="held_out_accuracy_beats_chance")
    def check(model: Artifact) -> dg.AssetCheckResult:
        """On held-out pairs the chosen answer wins more often than a coin would have it (exact 95 % interval)."""
        accuracy = Proportion.model_validate(model.manifest.metrics["preference_accuracy"][name])
        return dg.AssetCheckResult(
            passed=accuracy.beats_chance, description=str(accuracy), metadata=accuracy.model_dump()
        )

    return check


model_checks = [
    *(_loss_is_finite(asset) for asset in (sft_model, reward_model, dpo_model)),
    *(_beats_chance(asset) for asset in (reward_model, dpo_model)),
]
