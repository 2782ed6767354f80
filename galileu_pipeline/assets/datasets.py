"""Group `datasets`: votes become preference pairs, pairs and answers become training sets."""

import dagster as dg

from galileu_pipeline.assets.config import MakeConfig
from galileu_pipeline.assets.failures import explained
from galileu_pipeline.assets.presentation import people_table, result, set_aside_note
from galileu_pipeline.feedback import stages
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.pairing import integrity
from galileu_pipeline.feedback.snapshots import read_pairs
from galileu_pipeline.lineage.artifacts import Artifact
from galileu_pipeline.lineage.stage_versions import code_version
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.runs import run_info
from galileu_pipeline.resources.storage import StorageResource


@dg.asset(group_name="datasets", code_version=code_version("preference_pairs"), kinds={"duckdb"}, pool="warehouse")
@explained
def preference_pairs(
    context: dg.AssetExecutionContext,
    config: MakeConfig,
    profile: ProfileResource,
    storage: StorageResource,
    raw_feedback: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """Of two answers to one question, which one people prefer; with every vote behind it in `pair_sources`."""
    made = stages.make_preference_pairs(
        storage.artifacts,
        storage.warehouse,
        raw_feedback,
        profile.settings.pairing,
        run=run_info(context),
        force=config.force,
    )
    return result(made, made.artifact.manifest.metrics)


@dg.asset_check(asset=preference_pairs, blocking=True)
def chosen_differs_from_rejected(preference_pairs: Artifact) -> dg.AssetCheckResult:
    """No pair has the same text on both sides."""
    offenders = integrity.equal_sides(read_pairs(preference_pairs.path))
    return dg.AssetCheckResult(passed=not offenders, metadata={"pairs": len(offenders), "first": offenders[:10]})


@dg.asset_check(asset=preference_pairs, blocking=True)
def no_query_in_both_splits(preference_pairs: Artifact) -> dg.AssetCheckResult:
    """No question is trained on and held out, nor held out for two purposes."""
    offenders = integrity.queries_in_two_splits(read_pairs(preference_pairs.path))
    return dg.AssetCheckResult(passed=not offenders, metadata={"queries": len(offenders), "first": offenders[:10]})


@dg.asset_check(asset=preference_pairs, blocking=True)
def no_person_steers_the_model(profile: ProfileResource, preference_pairs: Artifact) -> dg.AssetCheckResult:
    """Nobody weighs more in the training data than `pairing.max_person_share` of the profile, or than one pair."""
    pairing = profile.settings.pairing
    heaviest = integrity.heaviest_people(preference_pairs.path, pairing)
    limit = pairing.max_person_share
    set_aside = preference_pairs.manifest.metrics["set_aside"]
    return dg.AssetCheckResult(
        passed=limit is None or not any(person.exceeds(limit) for person in heaviest),
        description=set_aside_note(set_aside),
        metadata={"set aside by person": set_aside, "heaviest": people_table(heaviest)},
    )


@dg.asset_check(asset=preference_pairs, blocking=True)
def enough_pairs_to_train_on(profile: ProfileResource, preference_pairs: Artifact) -> dg.AssetCheckResult:
    """At least `datasets.min_train_pairs` and `min_test_pairs` of the profile."""
    counts, needed = integrity.rows_by_split(read_pairs(preference_pairs.path)), profile.settings.datasets
    return dg.AssetCheckResult(
        passed=needed.are_enough(counts),
        description=(
            f"{needed.beside_the_least(counts)}. Collect more feedback, or lower the minimum in the profile. "
            f"{set_aside_note(preference_pairs.manifest.metrics['set_aside'])}"
        ),
        metadata=counts,
    )


@dg.asset(group_name="datasets", code_version=code_version("dpo_dataset"), kinds={"huggingface", "parquet"})
@explained
def dpo_dataset(
    context: dg.AssetExecutionContext,
    config: MakeConfig,
    profile: ProfileResource,
    storage: StorageResource,
    preference_pairs: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """{prompt, chosen, rejected} in TRL's conversational format, for DPO."""
    made = stages.make_dpo_dataset(
        storage.artifacts, preference_pairs, profile.settings.datasets, run=run_info(context), force=config.force
    )
    return result(made, made.artifact.manifest.metrics)


@dg.asset(group_name="datasets", code_version=code_version("reward_dataset"), kinds={"huggingface", "parquet"})
@explained
def reward_dataset(
    context: dg.AssetExecutionContext,
    config: MakeConfig,
    profile: ProfileResource,
    storage: StorageResource,
    preference_pairs: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """{prompt, chosen, rejected} for the reward model, and held-out answers with people's mean scores."""
    made = stages.make_reward_dataset(
        storage.artifacts, preference_pairs, profile.settings.datasets, run=run_info(context), force=config.force
    )
    return result(made, made.artifact.manifest.metrics)


@dg.asset(group_name="datasets", code_version=code_version("sft_dataset"), kinds={"huggingface", "parquet"})
@explained
def sft_dataset(
    context: dg.AssetExecutionContext,
    config: MakeConfig,
    profile: ProfileResource,
    storage: StorageResource,
    preference_pairs: Artifact,
) -> dg.MaterializeResult[Artifact]:
    """{prompt, completion}: the answers people rated well, and the hand-written ones of `data/curated/`."""
    settings = profile.settings
    made = stages.make_sft_dataset(
        storage.artifacts,
        preference_pairs,
        storage.data.curated,
        settings.pairing,
        settings.datasets,
        TextCleaner(settings.repair_text),
        run=run_info(context),
        force=config.force,
    )
    return result(made, made.artifact.manifest.metrics)
