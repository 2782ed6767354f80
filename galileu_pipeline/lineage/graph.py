"""The graph from click to checkpoint, as the manifests of a data folder tell it."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.data_folder import ARTIFACT_KINDS, DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, asset_of, read_artifact
from galileu_pipeline.lineage.champion import Champion, ChampionFile, in_service
from galileu_pipeline.lineage.manifest import MANIFEST_NAME
from galileu_pipeline.lineage.sources import DATASETS, Held, Sources, rows_kept_out

State = Literal["present", "missing", "remade", "unreadable"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Reign(_Record):
    """A time in service. `since` is None where the history does not tell, `until` where it goes on."""

    since: datetime | None
    until: datetime | None = None


class Node(_Record):
    """An artifact in the graph. What is not known of one that is not there is None."""

    id: str
    asset: str
    digest: str | None
    state: State = Field(description="`remade`: something was made of it when its files were others")
    made_at: datetime | None
    profile: str | None
    path: Path | None
    inputs: list[str]
    outcome: str | None = Field(description="of a decision")
    chosen: str | None = Field(description="the model a decision is for")
    in_service: list[Reign]


class Holding(Node):
    """A dataset with what it holds of a person, or of a row of feedback."""

    items: int = Field(description="pairs and examples it is behind; 0 where it only kept one out of the dataset")
    rows: int


class Trace(_Record):
    """What came from a person or from a row of feedback."""

    of: str = Field(description="the person's pseudonym, or the row's id")
    held_by: list[Holding] = Field(description="datasets, oldest first")
    made_from: list[Node] = Field(description="every artifact made from those, oldest first")
    unrecorded: list[str] = Field(description="datasets that do not say which feedback they hold")


class Graph:
    """All artifacts of a data folder, and those that their manifests name though they are gone.

    Args:
        artifacts: each under its id; of two with the same id the last counts.
        unreadable: ids of folders whose manifest cannot be read.
        champion: who is in service, and was.
    """

    def __init__(self, artifacts: Iterable[Artifact], unreadable: Iterable[str], champion: Champion) -> None:
        self.artifacts = {artifact.id: artifact for artifact in artifacts}
        self._children: dict[str, list[str]] = {}
        self.nodes = {artifact_id: _absent(artifact_id, "unreadable") for artifact_id in unreadable}
        remade = set()
        for artifact in sorted(self.artifacts.values(), key=_age):
            for ref in artifact.manifest.inputs:
                self._children.setdefault(ref.id, []).append(artifact.id)
                if (found := self.artifacts.get(ref.id)) is None:
                    self.nodes.setdefault(ref.id, _absent(ref.id, "missing", ref.asset, ref.digest))
                elif found.manifest.digest != ref.digest:
                    remade.add(ref.id)
        reigns = _reigns(champion)
        for artifact in self.artifacts.values():
            state: State = "remade" if artifact.id in remade else "present"
            self.nodes[artifact.id] = _node(artifact, state, reigns.get(artifact.id, []))

    @classmethod
    def read(cls, store: ArtifactStore, copy: Artifact | None = None) -> "Graph":
        """The graph of a data folder.

        Args:
            copy: an artifact that may lie elsewhere; it takes the place of that of the same id.

        Raises:
            GalileuError: `champion.json` cannot be read.
        """
        artifacts, unreadable = [], []
        for folder in store.folders():
            try:
                found = store.find(folder.name)
            except FileNotFoundError:  # removed since the folders were listed
                continue
            except GalileuError:
                unreadable.append(folder.name)
                continue
            if found and found.id == folder.name:  # else it is a swapped folder, which `galileu verify` tells
                artifacts.append(found)
        return cls([*artifacts, *([copy] if copy else [])], unreadable, ChampionFile(store).read())

    def ancestors(self, artifact_id: str) -> list[str]:
        """Everything it was made from, nearest first."""
        return self._walk([artifact_id], lambda found: self.nodes[found].inputs)

    def descendants(self, *artifact_ids: str) -> list[str]:
        """Everything made from one of these, and of that, nearest first."""
        return self._walk(artifact_ids, lambda found: self._children.get(found, []))

    def children(self, artifact_id: str) -> list[str]:
        """What was made directly from it, oldest first."""
        return self._children.get(artifact_id, [])

    def datasets(self, artifact_id: str) -> list[str]:
        """Where the feedback behind an artifact is recorded: itself, or the datasets it was made from."""
        if self.nodes[artifact_id].asset == "preference_pairs":
            return [artifact_id]
        return [found for found in (artifact_id, *self.ancestors(artifact_id)) if self.nodes[found].asset in DATASETS]

    def sources(self, artifact_id: str) -> Sources:
        """The rows of feedback behind an artifact: the union over its datasets, as far as they are there."""
        datasets = self.datasets(artifact_id)
        known = [self.artifacts[found] for found in datasets if found in self.artifacts]
        return Sources(known, (found for found in datasets if found not in self.artifacts))

    def of_person(self, pseudonym: str) -> Trace:
        """What came from a person.

        Raises:
            GalileuError: a dataset's sources cannot be read.
        """
        return self._trace("person", pseudonym)

    def of_feedback(self, feedback_id: str) -> Trace:
        """What came from a row of feedback.

        Raises:
            GalileuError: a dataset's sources cannot be read.
        """
        return self._trace("feedback", feedback_id)

    def _trace(self, what: Literal["person", "feedback"], wanted: str) -> Trace:
        datasets = [artifact for artifact in self.artifacts.values() if artifact.manifest.asset in DATASETS]
        absent = [node.id for node in self.nodes.values() if node.asset in DATASETS and node.id not in self.artifacts]
        sources = Sources(datasets, absent)
        held = self._kept_out(datasets, what, wanted) | sources.holding(what, wanted)
        made = [self.artifacts[found] for found in self.descendants(*held)]
        return Trace(
            of=wanted,
            held_by=[
                Holding(**dict(self.nodes[artifact.id]), **dict(held[artifact.id]))
                for artifact in sorted(datasets, key=_age)
                if artifact.id in held
            ],
            made_from=[
                self.nodes[artifact.id] for artifact in sorted(made, key=lambda found: found.manifest.created_at)
            ],
            unrecorded=sorted(sources.unrecorded),
        )

    def _kept_out(
        self, datasets: Iterable[Artifact], what: Literal["person", "feedback"], wanted: str
    ) -> dict[str, Held]:
        """The datasets that would hold more but for the wanted rows, which are in none of their items."""
        pairs = [found for found in self.artifacts.values() if found.manifest.asset == "preference_pairs"]
        rows = rows_kept_out(pairs, what, wanted)
        found = {
            dataset.id: rows.get((ref.id, "example" if dataset.manifest.asset == "sft_dataset" else "pair"))
            for dataset in datasets
            for ref in dataset.manifest.inputs
        }
        return {name: Held(items=0, rows=count) for name, count in found.items() if count}

    def _walk(self, start: Sequence[str], step: Callable[[str], Sequence[str]]) -> list[str]:
        seen = dict.fromkeys(start)
        queue = list(start)
        for found in queue:  # grows while it is gone through
            for following in step(found):
                if following not in seen:
                    seen[following] = None
                    queue.append(following)
        return queue[len(start) :]


def locate(store: ArtifactStore, subject: str) -> tuple[ArtifactStore, Artifact]:
    """The artifact that a person means, and the store in which to look for the others.

    Args:
        subject: an id; an asset, for its current artifact; or the path of an artifact's folder. A folder that lies in a
            data folder has its inputs there, any other copy in that of `store`.

    Raises:
        InputError: it is none of these.
        MissingArtifactError: there is no such artifact.
        GalileuError: the manifest cannot be read.
    """
    if os.sep in subject or subject in (".", ".."):
        return _located_at(store, Path(subject))
    try:
        return store, _named(store, subject)
    except (InputError, MissingArtifactError):
        if (Path(subject) / MANIFEST_NAME).is_file():
            return _located_at(store, Path(subject))
        raise


def _named(store: ArtifactStore, name: str) -> Artifact:
    if "-" in name:
        return store.load(name)
    return in_service(store) if name == "champion_model" else store.current(name)


def _located_at(store: ArtifactStore, path: Path) -> tuple[ArtifactStore, Artifact]:
    folder = (path.parent if path.name == MANIFEST_NAME else path).resolve()
    if not (folder / MANIFEST_NAME).is_file():
        raise InputError(
            f"{path} has no {MANIFEST_NAME}, so it is not an artifact's folder. `galileu models` lists them."
        )
    home = folder.parent
    others = {"current", *ARTIFACT_KINDS} - {home.name}
    if home.name in ARTIFACT_KINDS and any((home.parent / name).is_dir() for name in others):
        store = ArtifactStore(DataFolder(home.parent), store.profile)
    return store, read_artifact(folder)


def _absent(artifact_id: str, state: State, asset: str | None = None, digest: str | None = None) -> Node:
    return Node(
        id=artifact_id,
        asset=asset or asset_of(artifact_id),
        digest=digest,
        state=state,
        made_at=None,
        profile=None,
        path=None,
        inputs=[],
        outcome=None,
        chosen=None,
        in_service=[],
    )


def _node(artifact: Artifact, state: State, reigns: list[Reign]) -> Node:
    manifest = artifact.manifest
    decided = manifest.metrics if manifest.asset == "promotion_decision" else {}
    return Node(
        id=artifact.id,
        asset=manifest.asset,
        digest=manifest.digest,
        state=state,
        made_at=manifest.created_at,
        profile=manifest.config.get("profile"),
        path=artifact.path,
        inputs=list(dict.fromkeys(ref.id for ref in manifest.inputs)),
        outcome=decided.get("outcome"),
        chosen=decided.get("chosen"),
        in_service=reigns,
    )


def _reigns(champion: Champion) -> dict[str, list[Reign]]:
    """The times in service of every model that was promoted; the base model's, which no id names, are left out."""
    reigns: dict[str, list[Reign]] = {}
    serving = champion.history[0].replaced if champion.history else champion.id
    since: datetime | None = None
    for change in champion.history:
        if serving:
            reigns.setdefault(serving, []).append(Reign(since=since, until=change.at))
        serving, since = change.id, change.at
    if serving:
        reigns.setdefault(serving, []).append(Reign(since=since))
    return reigns


def _age(artifact: Artifact) -> tuple[datetime, str]:
    return (artifact.manifest.created_at, artifact.id)
