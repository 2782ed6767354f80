"""Artifact directories: made under a temporary name, renamed when whole, found again by id."""

import re
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from galileu_pipeline.data_folder import ARTIFACT_KINDS, DataFolder
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
from galileu_pipeline.lineage.stage_versions import StageVersion, stage_version


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


def read_artifact(path: Path) -> Artifact:
    """The artifact in a folder that has a manifest.

    Raises:
        GalileuError: the manifest cannot be read.
    """
    manifest = path / MANIFEST_NAME
    try:
        return Artifact(path, Manifest.model_validate_json(manifest.read_text(encoding="utf-8")))
    except (ValidationError, UnicodeDecodeError) as error:
        faults = error.error_count() if isinstance(error, ValidationError) else 1
        raise GalileuError(
            f"{manifest} is not a manifest of schema 1 ({faults} faults). Move {path} away and "
            f"materialize {path.name.rsplit('-', 1)[0]} again."
        ) from error


@dataclass(frozen=True)
class Plan:
    """What an artifact will be made of: enough to know its id before it is made.

    `config` holds every setting that can change the result, resolved. `made_by` is given only to make anew what another
    version made; otherwise it is the stage of this code, on the libraries that are installed.
    """

    asset: str
    inputs: Sequence[Artifact]
    config: dict[str, Any]
    seed: int | None = None
    made_by: StageVersion | None = None

    @property
    def stage_version(self) -> StageVersion:
        return stage_version(self.asset) if self.made_by is None else self.made_by

    @property
    def id(self) -> str:
        """The id of the artifact; see `artifact_id`."""
        inputs = [artifact.ref for artifact in self.inputs]
        return artifact_id(self.asset, inputs, self.config, self.seed, self.stage_version)


def artifact_id(
    asset: str, inputs: Sequence[ArtifactRef], config: dict[str, Any], seed: int | None, made_by: StageVersion
) -> str:
    """`<asset>-<12 hex>`, from the digests of the inputs, the config, the seed, and the version of the stage."""
    contents = sorted([ref.asset, ref.digest] for ref in inputs)
    whole = {"inputs": contents, "config": config, "seed": seed, **made_by.identity()}
    return f"{asset}-{json_digest(whole)[:12]}"


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


class _Intention(BaseModel):
    """What an artifact in the making is made of; it lies beside its lock, so that nobody removes that meanwhile."""

    inputs: list[str]


class ArtifactStore:
    """The artifacts of one data folder, as one profile sees them."""

    def __init__(self, data: DataFolder, profile: str) -> None:
        self.data = data
        self.profile = profile

    def make(
        self,
        plan: Plan,
        write: Callable[[Path], Outcome],
        *,
        run: RunInfo | None = None,
        force: bool = False,
        scratch: Path | None = None,
    ) -> Made:
        """Run `write` on an empty folder and publish it with a manifest; or reuse what the same plan gave before.

        Two processes with the same plan take turns. With `force` it is made again and takes the place of the
        earlier one. If `write` raises, nothing is published. `scratch` is a folder that only serves the making, over
        several attempts if need be; it is removed once the artifact is there.

        Raises:
            MissingArtifactError: an input has been removed meanwhile.
        """
        home = self.data.artifacts(plan.asset)
        with self.lock(plan.id):
            self._sweep(home, plan.id)
            if not force and (found := self.find(plan.id)):
                if scratch is not None:  # whoever published it was killed before this
                    shutil.rmtree(scratch, ignore_errors=True)
                    self.forget_making(plan.id)
                return Made(found, reused=True)
            intention = _Intention(inputs=[artifact.id for artifact in plan.inputs])
            replace_file(self._intention(plan.id), intention.model_dump_json())
            staging = hidden_name(home / plan.id)
            staging.mkdir()
            try:
                self._require_inputs(plan)
                outcome = write(staging)
                self._seal(staging, plan, outcome, run)
                self._publish(staging, home / plan.id)
                if scratch is not None:
                    shutil.rmtree(scratch, ignore_errors=True)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
                if scratch is None or not scratch.exists():  # else the next attempt goes on with the same inputs
                    self.forget_making(plan.id)
            return Made(self.load(plan.id), reused=False)

    def lock(self, artifact_id: str, *, timeout: float = -1) -> FileLock:
        """What whoever makes or removes that artifact holds.

        Args:
            timeout: seconds after which taking it raises `filelock.Timeout`; without it, one waits.
        """
        home = self.data.artifacts(asset_of(artifact_id))
        home.mkdir(parents=True, exist_ok=True)
        return FileLock(home / f".{artifact_id}.lock", timeout=timeout)

    def is_held(self, artifact_id: str) -> bool:
        """Somebody makes or removes that artifact at this moment."""
        try:
            with self.lock(artifact_id, timeout=0):
                return False
        except Timeout:
            return True

    def forget_making(self, artifact_id: str) -> None:
        """What a killed process said of making that artifact is void. The caller holds its lock."""
        self._intention(artifact_id).unlink(missing_ok=True)

    def in_the_making(self) -> dict[str, list[str]]:
        """What is being made at this moment, or was begun and left checkpoints to go on from: the ids of its inputs.

        Raises:
            GalileuError: there is a record of that which cannot be read.
        """
        homes = (self.data.root / kind for kind in ARTIFACT_KINDS)
        begun = sorted(path.name[1:].removesuffix(".inputs") for home in homes for path in home.glob(".*.inputs"))
        return {name: self._intended_inputs(name) for name in begun if self.is_held(name) or self._can_go_on(name)}

    def find(self, artifact_id: str) -> Artifact | None:
        """The artifact of that id, or None. A directory without a manifest counts as none.

        Raises:
            InputError: the id is not one, so that it could name a path elsewhere.
            GalileuError: there is a manifest that cannot be read.
        """
        if not re.fullmatch(ID_PATTERN, artifact_id):
            raise InputError(f"{artifact_id!r} is not an artifact id, such as dpo_model-0123456789ab.")
        path = self.data.artifacts(asset_of(artifact_id)) / artifact_id
        return read_artifact(path) if (path / MANIFEST_NAME).is_file() else None

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
        return self.load(_read_pointer(pointer))

    def find_current(self, asset: str) -> Artifact | None:
        """As `current`; None where it has not been materialized, or its folder is gone."""
        try:
            return self.current(asset)
        except MissingArtifactError:
            return None

    def current_ids(self) -> set[str]:
        """The ids of what is current under any profile, whether it is still there or not.

        Raises:
            GalileuError: a pointer cannot be read.
        """
        return {_read_pointer(path) for path in self.data.pointers()}

    def set_current(self, artifact: Artifact) -> None:
        """Point to `artifact` as its asset's current one, atomically."""
        pointer = self.data.pointer(self.profile, artifact.manifest.asset)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        replace_file(pointer, _Pointer(id=artifact.id).model_dump_json() + "\n")

    def forget_current(self, artifact_id: str) -> None:
        """Let no profile point to it as the current one of its asset."""
        for pointer in self.data.pointers():
            if _read_pointer(pointer) == artifact_id:
                pointer.unlink()

    def folders(self, *kinds: str) -> list[Path]:
        """The folders of artifacts, whole or not, of some kinds (`models`, `datasets`, `evaluations`) or of all."""
        homes = [self.data.root / kind for kind in kinds or ARTIFACT_KINDS]
        found = (path for home in homes if home.is_dir() for path in home.iterdir())
        return sorted(path for path in found if path.is_dir() and re.fullmatch(ID_PATTERN, path.name))

    def models(self) -> list[Artifact]:
        """Every model artifact, oldest first."""
        found = [artifact for path in self.folders("models") if (artifact := self.find(path.name))]
        return sorted(found, key=lambda artifact: (artifact.manifest.created_at, artifact.id))

    def _intention(self, artifact_id: str) -> Path:
        return self.data.artifacts(asset_of(artifact_id)) / f".{artifact_id}.inputs"

    def _intended_inputs(self, artifact_id: str) -> list[str]:
        path = self._intention(artifact_id)
        try:
            return _Intention.model_validate_json(path.read_bytes()).inputs
        except FileNotFoundError:  # it has just been finished
            return []
        except ValidationError as error:
            raise GalileuError(
                f"{path} does not say what {artifact_id} is made of. Remove it once nothing is being materialized."
            ) from error

    def _can_go_on(self, artifact_id: str) -> bool:
        return self.data.checkpoints(artifact_id).is_dir() and self.find(artifact_id) is None

    @staticmethod
    def _require_inputs(plan: Plan) -> None:
        """After the intention is known: who removes an artifact looks at intentions once it is out of sight."""
        for artifact in plan.inputs:
            if not artifact.path.is_dir():
                raise MissingArtifactError(
                    f"{artifact.id} has been removed. Materialize {artifact.manifest.asset} again."
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
            stage_version=plan.stage_version,
            environment=package_versions() | outcome.environment,
            run=run,
            files=files,
            digest=files_digest(files),
            metrics=outcome.metrics,
            resumed_from=outcome.resumed_from,
        ).sealed()
        for name in files:
            sync(staging / name)
        replace_file(staging / MANIFEST_NAME, manifest.model_dump_json(indent=2, by_alias=True) + "\n")

    @staticmethod
    def _publish(staging: Path, target: Path) -> None:
        if target.exists():
            replaced = hidden_name(target)
            target.rename(replaced)
            try:
                staging.rename(target)
            except OSError:
                replaced.rename(target)
                raise
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            staging.rename(target)
        sync(target.parent)

    @staticmethod
    def _sweep(home: Path, artifact_id: str) -> None:
        """Remove what a killed process left of this artifact. The caller holds its lock, so nobody is writing it.

        What was about to take its place, or had just been taken out of it, is whole, and goes there.
        """
        target = home / artifact_id
        if target.is_dir() and not (target / MANIFEST_NAME).is_file():
            shutil.rmtree(target)
        left = list(home.glob(f".{artifact_id}.*.partial"))
        if not target.exists() and (whole := [path for path in left if _is_whole(path)]):
            newest = max(whole, key=lambda path: read_artifact(path).manifest.created_at)
            newest.rename(target)
            left.remove(newest)
        for rubbish in left:
            shutil.rmtree(rubbish)


def hidden_name(path: Path) -> Path:
    """A name beside `path` for what is not whole, or no longer: `.<name>.<8 hex>.partial`."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


def _is_whole(folder: Path) -> bool:
    """It has a manifest, and the files that this names."""
    try:
        manifest = read_artifact(folder).manifest
    except (GalileuError, OSError):
        return False
    return {name: digest for name, digest in folder_digests(folder).items() if name != MANIFEST_NAME} == manifest.files


def asset_of(artifact_id: str) -> str:
    """The asset that an artifact of this id is of."""
    return artifact_id.rsplit("-", 1)[0]


def _read_pointer(path: Path) -> str:
    try:
        return _Pointer.model_validate_json(path.read_bytes()).id
    except ValidationError as error:
        raise GalileuError(f"{path} does not name an artifact. Remove it and materialize {path.stem} again.") from error
