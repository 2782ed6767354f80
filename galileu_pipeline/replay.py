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
    made: dict[str, Made] = {}
    for asset, found in _steps(store, warehouse, profile, launch, without, until, to):
        made[asset] = found
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
) -> list[tuple[str, Made]]:
    """Each artifact on the way to `to`, in the order in which they are made."""
    repair = profile.repair_text
    pairs = stages.replay_preference_pairs(
        store, warehouse, profile.pairing, repair_text=repair, without=without, until=until
    )
    steps = [("preference_pairs", pairs)]
    if to == "preference_pairs":
        return steps
    if to != "sft_model":
        dpo_dataset = stages.make_dpo_dataset(store, pairs.artifact, profile.datasets)
        steps.append(("dpo_dataset", dpo_dataset))
    if to == "dpo_dataset":
        return steps
    if to == "dpo_model":
        _require_enough(dpo_dataset.artifact, profile)
    sft_dataset = stages.make_sft_dataset(
        store, pairs.artifact, store.data.curated, profile.pairing, profile.datasets, TextCleaner(repair)
    )
    base = make_model(store, profile.stage("base", {}), {}, launch)
    sft_inputs = {"base_model": base.artifact, "sft_dataset": sft_dataset.artifact}
    sft = make_model(store, profile.stage("sft", {}), sft_inputs, launch)
    steps += [("sft_dataset", sft_dataset), ("base_model", base), ("sft_model", sft)]
    if to == "dpo_model":
        inputs = {"base_model": base.artifact, "sft_model": sft.artifact, "dpo_dataset": dpo_dataset.artifact}
        steps.append(("dpo_model", make_model(store, profile.stage("dpo", {}), inputs, launch)))
    return steps


def _require_enough(dataset: Artifact, profile: Profile) -> None:
    """As the check `enough_pairs_to_train_on` has it."""
    counts: Mapping[str, int] = dataset.manifest.metrics
    needed = profile.datasets
    if counts["train"] < needed.min_train_pairs or counts["test"] < needed.min_test_pairs:
        raise InputError(
            f"{dataset.id} has {counts['train']} pairs to train on (at least {needed.min_train_pairs}) and "
            f"{counts['test']} to test on (at least {needed.min_test_pairs}). Leave out less, or --set "
            "datasets.min_train_pairs and datasets.min_test_pairs."
        )


def _compare(old: Artifact, new: Artifact) -> ReplayedPairs:
    before, after = (_pair_ids(artifact) for artifact in (old, new))
    return ReplayedPairs(old=old.id, new=new.id, added=sorted(after - before), removed=sorted(before - after))


def _pair_ids(pairs: Artifact) -> set[str]:
    return set(pq.read_table(pairs.path / "preference_pairs.parquet", columns=["pair_id"])["pair_id"].to_pylist())
