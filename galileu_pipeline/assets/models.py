"""Group `models`: the base model, and what is trained on it."""

import math
from collections.abc import Callable

import dagster as dg

from galileu_pipeline.assets.config import StageConfig
from galileu_pipeline.assets.failures import explained
from galileu_pipeline.assets.presentation import lineage_metadata, model_metadata, result
from galileu_pipeline.automation.kubernetes import step_tags
from galileu_pipeline.evaluation.curves import read_log
from galileu_pipeline.evaluation.estimates import Mean, PreferenceAccuracy
from galileu_pipeline.lineage.artifacts import Artifact
from galileu_pipeline.lineage.stage_versions import code_version
from galileu_pipeline.resources.trainer import TrainerResource
from galileu_pipeline.training.settings import stage_of_asset


def _model(*kinds: str) -> Callable[[Callable[..., dg.MaterializeResult[Artifact]]], dg.AssetsDefinition]:
    """Makes the asset of a function that makes a model; `kinds` are what the UI shows of it."""

    def decorate(make: Callable[..., dg.MaterializeResult[Artifact]]) -> dg.AssetsDefinition:
        name = make.__name__
        asset = dg.asset(
            group_name="models",
            code_version=code_version(name),
            kinds=set(kinds),
            pool="training",
            op_tags=step_tags(name),
        )
        return asset(explained(make))

    return decorate


@_model("huggingface")
def base_model(
    context: dg.AssetExecutionContext, config: StageConfig, trainer: TrainerResource
) -> dg.MaterializeResult[Artifact]:
    """The profile's base model as a local folder of safetensors."""
    made = trainer.make(context, "base", config.overrides, {}, force=config.force)
    lineage = lineage_metadata(trainer.storage.artifacts, made.artifact)
    return result(made, {**made.artifact.manifest.metrics, **lineage})


@_model("trl", "peft")
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
    return result(made, model_metadata(trainer.storage.artifacts, made.artifact))


@_model("trl", "peft")
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
    return result(made, model_metadata(trainer.storage.artifacts, made.artifact))


@_model("trl", "peft")
def control_reward_model(
    context: dg.AssetExecutionContext,
    config: StageConfig,
    trainer: TrainerResource,
    base_model: Artifact,
    sft_model: Artifact,
    reward_dataset: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """The reward model of another seed. Nothing learns from it, so it shows who only flatters the first one."""
    inputs = {"base_model": base_model, "sft_model": sft_model, "reward_dataset": reward_dataset}
    made = trainer.make(context, "reward", config.overrides, inputs, force=config.force, control=True)
    return result(made, model_metadata(trainer.storage.artifacts, made.artifact))


@_model("trl", "peft")
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
    return result(made, model_metadata(trainer.storage.artifacts, made.artifact))


@_model("pytorch", "peft")
def ppo_model(
    context: dg.AssetExecutionContext,
    config: StageConfig,
    trainer: TrainerResource,
    base_model: Artifact,
    sft_model: Artifact,
    reward_model: Artifact,
    reward_dataset: Artifact,
    sft_dataset: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """Learns by trying: answers the training questions, and is taught by the reward model's verdicts (PPO)."""
    inputs = {
        "base_model": base_model,
        "sft_model": sft_model,
        "reward_model": reward_model,
        "reward_dataset": reward_dataset,
        "sft_dataset": sft_dataset,
    }
    made = trainer.make(context, "ppo", config.overrides, inputs, force=config.force)
    return result(made, model_metadata(trainer.storage.artifacts, made.artifact))


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
    name = f"{stage_of_asset(asset.key.to_user_string())}_model"

    @dg.asset_check(asset=asset, name="held_out_accuracy_beats_chance")
    def check(model: Artifact) -> dg.AssetCheckResult:
        """On held-out pairs the chosen answer wins more often than a coin would have it (95 % interval)."""
        accuracy = PreferenceAccuracy.model_validate(model.manifest.metrics["preference_accuracy"][name])
        return dg.AssetCheckResult(
            passed=accuracy.beats_chance, description=str(accuracy), metadata=accuracy.model_dump()
        )

    return check


@dg.asset_check(asset=ppo_model)
def held_out_reward_rose(model: Artifact) -> dg.AssetCheckResult:
    """To held-out questions it answers with more reward than the SFT model (the whole 95 % interval of the gain)."""
    gain = Mean.model_validate(model.manifest.metrics["held_out_reward"]["gain"])
    return dg.AssetCheckResult(passed=gain.above_zero, description=str(gain), metadata=gain.model_dump())


@dg.asset_check(asset=ppo_model)
def kl_below_target(model: Artifact) -> dg.AssetCheckResult:
    """On held-out questions it stays nearer to the SFT model than the profile's `kl_target` (nats an answer)."""
    kl = Mean.model_validate(model.manifest.metrics["held_out_answers"]["ppo_model"]["kl"])
    target = model.manifest.metrics["kl_target"]
    return dg.AssetCheckResult(
        passed=target is None or kl.value <= target,
        description=f"{kl}; target {target}",
        metadata=kl.model_dump(),
    )


model_checks = [
    held_out_reward_rose,
    kl_below_target,
    *(_loss_is_finite(asset) for asset in (sft_model, reward_model, control_reward_model, dpo_model, ppo_model)),
    *(_beats_chance(asset) for asset in (reward_model, control_reward_model, dpo_model)),
]
