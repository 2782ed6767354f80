"""The same votes under other settings, up to `dpo_model`: what would have come of them, and how it differs.

What is made lies among the other artifacts, so that what is the same already is not made again. Nothing becomes current
by it, nothing comes into service, and the warehouse stays as it is.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

import pyarrow.parquet as pq
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galileu_pipeline.errors import InputError, SettingsError
from galileu_pipeline.feedback import stages
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made
from galileu_pipeline.lineage.difference import Difference, difference
from galileu_pipeline.process import Launch
from galileu_pipeline.profiles.schema import Profile, describe
from galileu_pipeline.training.stages import make_model

Target = Literal["preference_pairs", "dpo_dataset", "sft_model", "dpo_model"]
_SECTIONS = ("pairing", "datasets", "base", "lora", "samples", "sft", "dpo", "seed")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Step(_Record):
    """An artifact of a replay."""

    id: str
    reused: bool = Field(description="it was there already")


class ReplayedPairs(_Record):
    """The pairs of a replay beside the current ones; ids of pairs."""

    old: str
    new: str
    added: list[str]
    removed: list[str]


class Replay(_Record):
    """What came of a replay. Comparisons are with what is current; None where nothing is."""

    steps: list[Step]
    pairs: ReplayedPairs | None
    difference: Difference | None


def with_settings(profile: Profile, assignments: Sequence[str]) -> Profile:
    """The profile with settings given as `section.field=value`, the value as YAML has it.

    Raises:
        InputError: it is not written so, or is no setting on which `dpo_model` hangs.
        SettingsError: the value is none for that setting.
    """
    content = profile.model_dump(mode="json")
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        section, *path = name.strip().split(".")
        if not sign or section not in _SECTIONS:
            raise InputError(
                f"{assignment!r} sets nothing that dpo_model hangs on. Write pairing.strategy=all_pairs, for "
                f"instance; there are {', '.join(_SECTIONS)}."
            )
        place: Any = content
        for key in [section, *path][:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict) or (last := [section, *path][-1]) not in place:
            raise InputError(f"{name.strip()} is no setting of profile {profile.name}.")
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"{assignment!r}: the value cannot be read: {error}.") from error
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        raise SettingsError(f"--set: {describe(error)}") from error


def replay(
    store: ArtifactStore,
    warehouse: Warehouse,
    profile: Profile,
    launch: Launch,
    *,
    without: str | None = None,
    until: date | None = None,
    to: Target = "dpo_model",
) -> Replay:
    """Make what `to` would be under `profile`; see `feedback.stages.replay_preference_pairs` for what is left out.

    Raises:
        InputError: nothing is left, or fewer pairs than the profile wants to train on.
        StageError: a training failed.
    """
    made = _steps(store, warehouse, profile, launch, without, until, to)
    pairs, current = made["preference_pairs"].artifact, store.find_current("preference_pairs")
    result, baseline = made[to].artifact, store.find_current(to)
    return Replay(
        steps=[Step(id=step.artifact.id, reused=step.reused) for step in made.values()],
        pairs=_compare(current, pairs) if current else None,
        difference=difference((store, baseline), (store, result)) if baseline else None,
    )


def _steps(
    store: ArtifactStore,
    warehouse: Warehouse,
    profile: Profile,
    launch: Launch,
    without: str | None,
    until: date | None,
    to: Target,
) -> dict[str, Made]:
    """The artifacts on the way to `to` by asset, in the order in which they are made."""
    repair = profile.repair_text
    made: dict[str, Made] = {}

    def inputs(*assets: str) -> dict[str, Artifact]:
        return {asset: made[asset].artifact for asset in assets}

    made["preference_pairs"] = stages.replay_preference_pairs(
        store, warehouse, profile.pairing, repair_text=repair, without=without, until=until
    )
    if to == "preference_pairs":
        return made
    pairs = made["preference_pairs"].artifact
    if to != "sft_model":
        made["dpo_dataset"] = stages.make_dpo_dataset(store, pairs, profile.datasets)
    if to == "dpo_dataset":
        return made
    if to == "dpo_model":
        _require_enough(made["dpo_dataset"].artifact, profile)
    made["sft_dataset"] = stages.make_sft_dataset(
        store, pairs, store.data.curated, profile.pairing, profile.datasets, TextCleaner(repair)
    )
    made["base_model"] = make_model(store, profile.stage("base", {}), {}, launch)
    made["sft_model"] = make_model(store, profile.stage("sft", {}), inputs("base_model", "sft_dataset"), launch)
    if to == "dpo_model":
        of_dpo = inputs("base_model", "sft_model", "dpo_dataset")
        made["dpo_model"] = make_model(store, profile.stage("dpo", {}), of_dpo, launch)
    return made


def _require_enough(dataset: Artifact, profile: Profile) -> None:
    """As the check `enough_pairs_to_train_on` has it."""
    counts: Mapping[str, int] = dataset.manifest.metrics
    if not profile.datasets.are_enough(counts):
        raise InputError(
            f"{dataset.id} has {profile.datasets.beside_the_least(counts)}. Leave out less, or --set "
            "datasets.min_train_pairs and datasets.min_test_pairs."
        )


def _compare(old: Artifact, new: Artifact) -> ReplayedPairs:
    before, after = (_pair_ids(artifact) for artifact in (old, new))
    return ReplayedPairs(old=old.id, new=new.id, added=sorted(after - before), removed=sorted(before - after))


def _pair_ids(pairs: Artifact) -> set[str]:
    return set(pq.read_table(pairs.path / "preference_pairs.parquet", columns=["pair_id"])["pair_id"].to_pylist())
