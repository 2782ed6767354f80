"""Short views of the artifacts, for the command line."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from galileu_pipeline.errors import MissingArtifactError
from galileu_pipeline.evaluation.statistics import Proportion
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.manifest import MANIFEST_NAME


class HeldOutResult(BaseModel):
    """A model's preference accuracy on the held-out pairs, and the base model's on the same pairs."""

    asset: str
    id: str
    accuracy: Proportion
    base_accuracy: Proportion
    manifest: Path


class ModelSummary(BaseModel):
    """A model artifact in a line. `accuracy` is its own held-out preference accuracy, where it has one."""

    id: str
    asset: str
    created_at: datetime
    profile: str
    accuracy: Proportion | None
    current: bool
    path: Path


def held_out_results(store: ArtifactStore) -> list[HeldOutResult]:
    """The current SFT, DPO and reward models against the base. The DPO stage measured the first two and the base.

    Raises:
        MissingArtifactError: one of them has not been made.
    """
    dpo = store.current("dpo_model")
    measured = dpo.manifest.metrics["preference_accuracy"]
    base = Proportion.model_validate(measured["base_model"])
    reward = store.current("reward_model")
    rows = [
        (store.current("sft_model"), measured),
        (dpo, measured),
        (reward, reward.manifest.metrics["preference_accuracy"]),
    ]
    return [
        HeldOutResult(
            asset=model.manifest.asset,
            id=model.id,
            accuracy=Proportion.model_validate(accuracies[model.manifest.asset]),
            base_accuracy=base,
            manifest=model.path / MANIFEST_NAME,
        )
        for model, accuracies in rows
    ]


def list_models(store: ArtifactStore) -> list[ModelSummary]:
    """Every model artifact, oldest first; `current` as the store's profile sees it."""
    return [_summary(store, model) for model in store.models()]


def _summary(store: ArtifactStore, model: Artifact) -> ModelSummary:
    manifest = model.manifest
    accuracy = manifest.metrics.get("preference_accuracy", {}).get(manifest.asset)
    try:
        current = store.current(manifest.asset).id == model.id
    except MissingArtifactError:
        current = False
    return ModelSummary(
        id=model.id,
        asset=manifest.asset,
        created_at=manifest.created_at,
        profile=manifest.config["profile"],
        accuracy=Proportion.model_validate(accuracy) if accuracy else None,
        current=current,
        path=model.path,
    )
