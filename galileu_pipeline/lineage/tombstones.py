"""What stays of feedback that was erased at a person's request: that it was, and which models had learnt from it."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.files import replace_file
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore


class Taint(BaseModel):
    """How much of what a model learnt from came from the person: pairs and examples, of how many in all."""

    model_config = ConfigDict(frozen=True)

    items: int
    of: int


class Tombstone(BaseModel):
    """The record of one erasure: `data/erasures/<pseudonym>-<number>.json`. It holds no text and no id of a person."""

    model_config = ConfigDict(frozen=True)

    person: str = Field(description="the keyed hash")
    begun_at: datetime = Field(description="to the microsecond: it tells the erasures of a person apart")
    done_at: datetime | None = Field(None, description="None while the erasure is under way, or was broken off")
    rows: dict[str, int] = Field({}, description="rows erased of each table")
    refused: list[str] = Field([], description="keyed digests of the ids of these rows; they are not imported again")
    tainted: dict[str, Taint] = Field({}, description="models that learnt from these rows, by id")
    files: dict[str, dict[str, str | None]] = Field(
        {}, description="by artifact: files that were removed (None) or written anew (their sha256)"
    )


class Tombstones:
    """The tombstones of a data folder."""

    def __init__(self, data: DataFolder) -> None:
        self._folder = data.erasures

    def read(self) -> list[Tombstone]:
        """All of them, oldest first.

        Raises:
            GalileuError: one cannot be read.
        """
        found = [self._read(path) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda tombstone: (tombstone.begun_at, tombstone.person))

    def unfinished(self, person: str) -> Tombstone | None:
        """The erasure of that person that was broken off, if there is one."""
        return next((found for found in self.read() if found.person == person and found.done_at is None), None)

    def write(self, tombstone: Tombstone) -> None:
        """Put it down, in place of what was written of the same erasure before."""
        earlier = [found for found in self.read() if found.person == tombstone.person]
        number = sum(found.begun_at != tombstone.begun_at for found in earlier)
        replace_file(self._folder / f"{tombstone.person}-{number}.json", tombstone.model_dump_json(indent=2) + "\n")

    def refused(self) -> set[str]:
        """Digests of all erased rows, which are not to be taken again."""
        return {digest for tombstone in self.read() for digest in tombstone.refused}

    def files_of(self, artifact: Artifact) -> dict[str, str]:
        """The files an artifact should have by now, by name, with their digests."""
        files: dict[str, str] = dict(artifact.manifest.files)
        for tombstone in self.read():
            for name, digest in tombstone.files.get(artifact.id, {}).items():
                if digest is None:
                    files.pop(name, None)
                else:
                    files[name] = digest
        return files

    def tainting(self, store: ArtifactStore, model_id: str) -> list[Tombstone]:
        """The erasures of people from whose feedback a model, or anything it was made from, has learnt."""
        ids = _with_ancestors(store, model_id)
        return [tombstone for tombstone in self.read() if ids & tombstone.tainted.keys()]

    @staticmethod
    def _read(path: Path) -> Tombstone:
        try:
            return Tombstone.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise GalileuError(
                f"{path} cannot be read as the record of an erasure. Restore it from a backup: without it, what was "
                "erased could come back unseen."
            ) from error


def _with_ancestors(store: ArtifactStore, artifact_id: str) -> set[str]:
    seen: set[str] = set()
    queue = [artifact_id]
    while queue:
        wanted = queue.pop()
        if wanted not in seen:
            seen.add(wanted)
            found = store.find(wanted)
            queue.extend(ref.id for ref in (found.manifest.inputs if found else ()))
    return seen
