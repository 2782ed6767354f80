"""Artifact directories: made under a temporary name, renamed when whole, found again by id."""

import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.files import replace_file, sync
from galileu_pipeline.lineage.digests import files_digest, folder_digests, json_digest
from galileu_pipeline.lineage.manifest import (
    ID_PATTERN,
    MANIFEST_NAME,
    ArtifactRef,
    Manifest,
    RunInfo,
    code_info,
    package_versions,
    utc_now,
)


@dataclass(frozen=True)
class Artifact:
    """A whole artifact directory and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def ref(self) -> ArtifactRef:
        return self.manifest.ref


@dataclass(frozen=True)
class Plan:
    """What an artifact will be made of: enough to know its id before it is made.

    `config` holds every setting that can change the result, resolved.
    """

    asset: str
    inputs: Sequence[Artifact]
    config: dict[str, Any]
    seed: int | None = None

    @property
    def id(self) -> str:
        """`<asset>-<12 hex>`, from the digests of the inputs, the config and the seed."""
        inputs = {artifact.manifest.asset: artifact.manifest.digest for artifact in self.inputs}
        return f"{self.asset}-{json_digest({'inputs': inputs, 'config': self.config, 'seed': self.seed})[:12]}"


@dataclass(frozen=True)
class Outcome:
    """What making an artifact leaves behind besides its files."""

    metrics: dict[str, Any] = dataclass_field(default_factory=dict)
    environment: dict[str, Any] = dataclass_field(default_factory=dict)
    resumed_from: str | None = None


@dataclass(frozen=True)
class Made:
    """An artifact, and whether an earlier run had already made it."""

    artifact: Artifact
    reused: bool


class _Pointer(BaseModel):
    id: str


class ArtifactStore:
    """The artifacts of one data folder, as one profile sees them."""

    def __init__(self, data: DataFolder, profile: str) -> None:
        self.data = data
        self.profile = profile

    def make(
        self, plan: Plan, write: Callable[[Path], Outcome], *, run: RunInfo | None = None, force: bool = False
    ) -> Made:
        """Run `write` on an empty folder and publish it with a manifest; or reuse what the same plan gave before.

        Two processes with the same plan take turns. With `force` it is made again and takes the place of the
        earlier one. If `write` raises, nothing is published.
        """
        home = self.data.artifacts(plan.asset)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f".{plan.id}.lock"):
            self._sweep(home, plan.id)
            if not force and (found := self.find(plan.id)):
                return Made(found, reused=True)
            staging = home / f".{plan.id}.{uuid.uuid4().hex[:8]}.partial"
            staging.mkdir()
            try:
                outcome = write(staging)
                self._seal(staging, plan, outcome, run)
                self._publish(staging, home / plan.id)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            return Made(self.load(plan.id), reused=False)

    def find(self, artifact_id: str) -> Artifact | None:
        """The artifact of that id, or None. A directory without a manifest counts as none.

        Raises:
            InputError: the id is not one, so that it could name a path elsewhere.
            GalileuError: there is a manifest that cannot be read.
        """
        if not re.fullmatch(ID_PATTERN, artifact_id):
            raise InputError(f"{artifact_id!r} is not an artifact id, such as dpo_model-0123456789ab.")
        path = self.data.artifacts(artifact_id.rsplit("-", 1)[0]) / artifact_id
        manifest = path / MANIFEST_NAME
        if not manifest.is_file():
            return None
        try:
            return Artifact(path, Manifest.model_validate_json(manifest.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise GalileuError(
                f"{manifest} is not a manifest of schema 1 ({error.error_count()} faults). Move {path} away and "
                f"materialize {artifact_id.rsplit('-', 1)[0]} again."
            ) from error

    def load(self, artifact_id: str) -> Artifact:
        """The artifact of that id.

        Raises:
            MissingArtifactError: there is none.
        """
        found = self.find(artifact_id)
        if found is None:
            raise MissingArtifactError(
                f"There is no artifact {artifact_id} in {self.data.root}. `galileu models` lists them."
            )
        return found

    def verify(self, artifact: Artifact) -> list[str]:
        """The files that are missing, changed or added since the manifest was written; empty when all is well."""
        now = folder_digests(artifact.path)
        now.pop(MANIFEST_NAME, None)
        then = artifact.manifest.files
        return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))

    def current(self, asset: str) -> Artifact:
        """The artifact last materialized for `asset` under this profile.

        Raises:
            MissingArtifactError: naming the asset and the command that makes it.
        """
        pointer = self.data.pointer(self.profile, asset)
        if not pointer.is_file():
            raise MissingArtifactError(
                f"`{asset}` has not been materialized with profile `{self.profile}`. Materialize it first: "
                f"dagster asset materialize --select {asset} (or everything it needs too: --select '*{asset}')."
            )
        return self.load(_Pointer.model_validate_json(pointer.read_text(encoding="utf-8")).id)

    def set_current(self, artifact: Artifact) -> None:
        """Point to `artifact` as its asset's current one, atomically."""
        pointer = self.data.pointer(self.profile, artifact.manifest.asset)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        replace_file(pointer, _Pointer(id=artifact.id).model_dump_json() + "\n")

    def models(self) -> Iterator[Artifact]:
        """Every model artifact, oldest first."""
        home = self.data.root / "models"
        found = (
            (self.find(path.name) for path in home.iterdir() if re.fullmatch(ID_PATTERN, path.name))
            if home.is_dir()
            else ()
        )
        yield from sorted(
            (artifact for artifact in found if artifact),
            key=lambda artifact: (artifact.manifest.created_at, artifact.id),
        )

    @staticmethod
    def _seal(staging: Path, plan: Plan, outcome: Outcome, run: RunInfo | None) -> None:
        files = folder_digests(staging)
        manifest = Manifest(
            asset=plan.asset,
            id=plan.id,
            created_at=utc_now(),
            inputs=[artifact.ref for artifact in plan.inputs],
            config=plan.config,
            seed=plan.seed,
            code=code_info(),
            environment=package_versions() | outcome.environment,
            run=run,
            files=files,
            digest=files_digest(files),
            metrics=outcome.metrics,
            resumed_from=outcome.resumed_from,
        )
        for name in files:
            sync(staging / name)
        replace_file(staging / MANIFEST_NAME, manifest.model_dump_json(indent=2, by_alias=True) + "\n")

    @staticmethod
    def _publish(staging: Path, target: Path) -> None:
        if target.exists():
            replaced = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
            target.rename(replaced)
            staging.rename(target)
            shutil.rmtree(replaced)
        else:
            staging.rename(target)
        sync(target.parent)

    @staticmethod
    def _sweep(home: Path, artifact_id: str) -> None:
        """Remove what a killed process left of this artifact. The caller holds its lock, so nobody is writing it."""
        for rubbish in home.glob(f".{artifact_id}.*.partial"):
            shutil.rmtree(rubbish)
        target = home / artifact_id
        if target.is_dir() and not (target / MANIFEST_NAME).is_file():
            shutil.rmtree(target)
