"""What differs between two artifacts: the feedback behind them, and how they were made."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.graph import Graph
from galileu_pipeline.lineage.manifest import Manifest
from galileu_pipeline.lineage.sources import ChangedRows


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Change(_Record):
    """A value by its dotted name, then and now; None where there was none."""

    name: str
    old: Any
    new: Any


class Difference(_Record):
    """From `old` to `new`. What is the same in both is left out."""

    old: str
    new: str
    feedback_added: ChangedRows
    feedback_removed: ChangedRows
    unrecorded: list[str] = Field(description="datasets that do not say which feedback they hold: it is not compared")
    inputs: list[Change]
    settings: list[Change]
    code: list[Change]
    packages: list[Change]
    metrics: list[Change]


def difference(old: tuple[ArtifactStore, Artifact], new: tuple[ArtifactStore, Artifact]) -> Difference:
    """What differs between two artifacts, each with the store its inputs lie in.

    Raises:
        GalileuError: a dataset's sources cannot be read.
    """
    before, after = old[1].manifest, new[1].manifest
    sources_before, sources_after = (Graph.read(store, artifact).sources(artifact.id) for store, artifact in (old, new))
    added, removed = sources_before.changed_to(sources_after)
    return Difference(
        old=before.id,
        new=after.id,
        feedback_added=added,
        feedback_removed=removed,
        unrecorded=sorted({*sources_before.unrecorded, *sources_after.unrecorded}),
        inputs=changes(_inputs(before), _inputs(after)),
        settings=changes({**before.config, "seed": before.seed}, {**after.config, "seed": after.seed}),
        code=changes(_code(before), _code(after)),
        packages=changes(_packages(before), _packages(after)),
        metrics=changes(before.metrics, after.metrics),
    )


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The values that differ, in the order of their names; what is nested has a dotted name."""
    before, after = dict(flatten(old)), dict(flatten(new))
    return [
        Change(name=name, old=before.get(name), new=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its dotted name. A figure stays with its interval, as one value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value and not {"value", "low", "high"} <= value.keys():
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _inputs(manifest: Manifest) -> dict[str, str]:
    """By asset; of an asset that is there several times, by asset and id."""
    assets = [ref.asset for ref in manifest.inputs]
    return {ref.asset if assets.count(ref.asset) == 1 else f"{ref.asset}.{ref.id}": ref.id for ref in manifest.inputs}


def _code(manifest: Manifest) -> dict[str, Any]:
    return {**manifest.code.model_dump(), "stage_version": manifest.stage_version.version}


def _packages(manifest: Manifest) -> dict[str, str | None]:
    """What the environment says in text or not at all is a version; the rest tells of the machine and the run."""
    return {name: value for name, value in manifest.environment.items() if value is None or isinstance(value, str)}
