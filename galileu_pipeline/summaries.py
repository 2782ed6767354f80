"""Short views of the artifacts, for the command line."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from galileu_pipeline.evaluation.estimates import Mean, PreferenceAccuracy
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.manifest import MANIFEST_NAME
from galileu_pipeline.lineage.tombstones import Tombstones
from galileu_pipeline.training.settings import stage_of_asset


class HeldOutResult(BaseModel):
    """A model's preference accuracy on the held-out pairs, and the base model's on the same pairs, if it was measured.

    `reward_gain` is how much more the reward model gives to its answers to held-out questions than to the SFT
    model's; only PPO measures it.
    """

    asset: str
    id: str
    accuracy: PreferenceAccuracy
    base_accuracy: PreferenceAccuracy | None
    reward_gain: Mean | None
    manifest: Path


class ModelSummary(BaseModel):
    """A model artifact in a line.

    `accuracy` is its own held-out preference accuracy, where it has one; a model is `tainted` if it learnt from
    feedback that was erased since.
    """

    id: str
    asset: str
    created_at: datetime
    profile: str
    accuracy: PreferenceAccuracy | None
    current: bool
    in_service: bool
    tainted: bool
    path: Path


def held_out_results(store: ArtifactStore) -> list[HeldOutResult]:
    """The current models, as far as they have been measured on held-out pairs.

    Of the SFT model and the base, what the DPO stage measured.
    """
    models = {
        asset: model
        for asset in ("sft_model", "dpo_model", "reward_model", "ppo_model")
        if (model := store.find_current(asset))
    }
    by_dpo = models["dpo_model"].manifest.metrics["preference_accuracy"] if "dpo_model" in models else {}
    return [
        HeldOutResult(
            asset=asset,
            id=model.id,
            accuracy=accuracies[asset],
            base_accuracy=by_dpo.get("base_model"),
            reward_gain=own["held_out_reward"]["gain"] if "held_out_reward" in own else None,
            manifest=model.path / MANIFEST_NAME,
        )
        for asset, model in models.items()
        for own in [model.manifest.metrics]
        for accuracies in [{**by_dpo, **own.get("preference_accuracy", {})}]
        if asset in accuracies
    ]


def list_models(store: ArtifactStore) -> list[ModelSummary]:
    """Every model artifact, oldest first; `current` and `in_service` as the store's profile sees it."""
    champion = ChampionFile(store).read().id
    base = store.find_current("base_model")
    serving = champion or (base.id if base else None)
    return [_summary(store, model, serving) for model in store.models()]


def _summary(store: ArtifactStore, model: Artifact, serving: str | None) -> ModelSummary:
    manifest = model.manifest
    accuracy = manifest.metrics.get("preference_accuracy", {}).get(f"{stage_of_asset(manifest.asset)}_model")
    current = store.find_current(manifest.asset)
    return ModelSummary(
        id=model.id,
        asset=manifest.asset,
        created_at=manifest.created_at,
        profile=manifest.config["profile"],
        accuracy=PreferenceAccuracy.model_validate(accuracy) if accuracy else None,
        current=current is not None and current.id == model.id,
        in_service=model.id == serving,
        tainted=bool(Tombstones(store.data).tainting(store, model.id)),
        path=model.path,
    )
