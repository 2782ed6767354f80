"""Whether artifacts are still what their manifests say, and the manifests what they were."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from galileu_pipeline.errors import GalileuError, MissingArtifactError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.manifest import ArtifactRef
from galileu_pipeline.lineage.wholeness import OwnFault, own_faults

FaultKind = OwnFault | Literal["unreadable manifest", "missing input", "changed input", "missing champion"]


class Fault(BaseModel):
    """One thing that is not as it should be: where, what, and what it concerns."""

    model_config = ConfigDict(frozen=True)

    artifact: str
    kind: FaultKind
    subject: str


def verify(store: ArtifactStore, artifact_id: str | None = None) -> list[Fault]:
    """The faults of an artifact and of all it was made from; without an id, of every artifact of the data folder.

    Every file is read again; what was erased at people's request is not missed. A manifest that was edited shows in its
    seal, its id, or the digest of its files; one that was edited and sealed anew by somebody who knows how shows only
    in what was made from it.

    Raises:
        MissingArtifactError: there is no artifact of that id.
    """
    if artifact_id is None:
        faults = [fault for path in store.folders() for fault in _faults_at(store, path.name)]
        champion = ChampionFile(store).read().id
        if champion is not None and store.find(champion) is None:
            faults.append(Fault(artifact=champion, kind="missing champion", subject=str(store.data.champion)))
        return faults
    store.load(artifact_id)
    return [fault for found in _with_ancestors(store, artifact_id) for fault in _faults_at(store, found)]


def _with_ancestors(store: ArtifactStore, artifact_id: str) -> Iterable[str]:
    """The id, and those of everything it was made from that can be found, nearest first."""
    seen, queue = {artifact_id: None}, [artifact_id]
    while queue:
        found = store.find(queue.pop(0))
        for ref in found.manifest.inputs if found else ():
            if ref.id not in seen and store.find(ref.id) is not None:
                seen[ref.id] = None
                queue.append(ref.id)
    return seen


def _faults_at(store: ArtifactStore, folder: str) -> list[Fault]:
    try:
        artifact = store.find(folder)
    except GalileuError as error:
        return [Fault(artifact=folder, kind="unreadable manifest", subject=str(error))]
    if artifact is None:  # without a manifest it is no artifact, but what a killed process left
        return []
    return [Fault(artifact=folder, kind=kind, subject=subject) for kind, subject in _faults_of(store, artifact)]


def _faults_of(store: ArtifactStore, artifact: Artifact) -> Iterator[tuple[FaultKind, str]]:
    yield from own_faults(store, artifact)
    for ref in artifact.manifest.inputs:
        yield from _faults_of_input(store, ref)


def _faults_of_input(store: ArtifactStore, ref: ArtifactRef) -> Iterator[tuple[FaultKind, str]]:
    try:
        found = store.load(ref.id).manifest
    except MissingArtifactError:
        yield "missing input", ref.id
    except GalileuError:
        yield "changed input", f"{ref.id}: its manifest cannot be read"
    else:
        if (found.asset, found.digest) != (ref.asset, ref.digest):
            yield "changed input", f"{ref.id} had other content"
