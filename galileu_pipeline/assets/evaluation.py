"""Group `evaluation`: which model is the best, and which is in service."""

import dagster as dg

from galileu_pipeline.assets.config import MakeConfig
from galileu_pipeline.assets.failures import explained
from galileu_pipeline.assets.presentation import decision_metadata, evaluation_metadata, result
from galileu_pipeline.automation.kubernetes import step_tags
from galileu_pipeline.evaluation.results import read_evaluation
from galileu_pipeline.evaluation.stages import settle
from galileu_pipeline.lineage.artifacts import Artifact
from galileu_pipeline.lineage.champion import in_service
from galileu_pipeline.lineage.stage_versions import code_version
from galileu_pipeline.resources.evaluator import EvaluatorResource
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.runs import run_info
from galileu_pipeline.resources.storage import StorageResource


@dg.asset(
    group_name="evaluation",
    code_version=code_version("model_evaluation"),
    kinds={"pytorch"},
    pool="training",
    op_tags=step_tags("model_evaluation"),
    deps=["base_model", "sft_model", "dpo_model", "ppo_model"],
)
@explained
def model_evaluation(
    context: dg.AssetExecutionContext,
    config: MakeConfig,
    evaluator: EvaluatorResource,
    control_reward_model: Artifact,
    reward_model: Artifact,
    reward_dataset: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """The base model and the candidates made so far against the model in service, on held-out questions."""
    made = evaluator.make(context, control_reward_model, reward_model, reward_dataset, force=config.force)
    return result(made, evaluation_metadata(made.artifact))


@dg.asset_check(asset=model_evaluation)
def the_judge_knows_what_people_prefer(model_evaluation: Artifact) -> dg.AssetCheckResult:
    """On held-out pairs the judge agrees with people more often than a coin would (95 % interval)."""
    accuracy = read_evaluation(model_evaluation.path).judge.accuracy
    return dg.AssetCheckResult(passed=accuracy.beats_chance, description=str(accuracy), metadata=accuracy.model_dump())


@dg.asset(group_name="evaluation", code_version=code_version("promotion_decision"))
@explained
def champion_model(
    context: dg.AssetExecutionContext,
    profile: ProfileResource,
    storage: StorageResource,
    model_evaluation: Artifact,
) -> dg.MaterializeResult[None]:
    """The model in service: a candidate takes the place if the promotion rule of the profile says so."""
    store = storage.artifacts
    made, decision = settle(store, model_evaluation, profile.settings.promotion, run=run_info(context))
    return dg.MaterializeResult(metadata=decision_metadata(made, decision, model_evaluation, in_service(store)))
